"""Upstream's own executor drives the agent file; tokens, masks and advantages are checked.

Run with ``make openrlhf-test``; elsewhere these tests are skipped.
"""

import asyncio
import importlib.util
import json
from types import SimpleNamespace

import pytest

from code_envs import Grade, Outcome, modes
from code_envs.commands.exporting import PATHS
from code_envs.envs.single import CodeEnv, feedback_for
from code_envs.integrations import node_grader
from code_envs.integrations.openrlhf_data import problem_rows
from code_envs.integrations.openrlhf_rollout import LOGS
from code_envs.integrations.turns import find_turns
from code_envs.modes import rules
from code_envs.problem import Mode

from .openrlhf_tools import (
    MARKERS,
    HuggingFaceEngine,
    make_model,
    make_tokenizer,
    rollout_actor,
    sampling,
    upstream,
)

pytestmark = [
    pytest.mark.extra,
    pytest.mark.skipif(
        importlib.util.find_spec("openrlhf") is None, reason="needs openrlhf and torch: make openrlhf-test"
    ),
    pytest.mark.filterwarnings("default"),  # the libraries' own
]
END = {"qwen2_5": "<|im_end|>", "qwen3": "<|im_end|>", "llama3_1": "<|eot_id|>"}


@pytest.fixture(scope="module")
def agent():
    """The agent file, loaded as upstream loads it."""
    path = importlib.util.find_spec(f"code_envs.integrations.{PATHS['openrlhf']}").origin
    spec = importlib.util.spec_from_file_location("agent_module", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def families():
    return {family: make_tokenizer(family) for family in MARKERS}


@pytest.fixture(scope="module")
def models(families):
    return {family: make_model(tokenizer) for family, tokenizer in families.items()}


@pytest.fixture(scope="module")
def problems(executor):
    found = {}
    for mode in Mode:
        env = CodeEnv(mode, level=0, executor=executor)
        env.reset(seed=5)
        found[mode] = env.problem
    return found


def templated(tokenizer, text, **settings):
    """A row's prompt as upstream's dataset renders it."""
    return tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True, **settings
    )


def roll(agent, row, tokenizer, engines, *, most=None, length=6000, settings=None):
    """A group, as upstream's ``generate_responses`` starts it."""
    executor, params = agent.AgentExecutor(), sampling(most)
    prompt = templated(tokenizer, row["prompt"], **(settings or {}))

    async def group():
        return await asyncio.gather(
            *(
                executor.execute(
                    prompt=prompt,
                    label=row["label"],
                    sampling_params=params,
                    max_length=length,
                    hf_tokenizer=tokenizer,
                    llm_engine=engine,
                )
                for engine in engines
            )
        )

    return prompt, asyncio.run(group())


def test_upstream_accepts_the_class(agent):
    from openrlhf.utils.agent import AgentExecutorBase

    assert issubclass(agent.AgentExecutor, AgentExecutorBase)
    agent.AgentExecutor()


@pytest.mark.parametrize("mode", Mode)
def test_gold_passes_and_nonsense_does_not_in_every_mode(agent, families, models, problems, mode):
    tokenizer, problem = families["qwen3"], problems[mode]
    (row,) = problem_rows([problem])
    gold = rules(mode).gold(problem)
    engines = [HuggingFaceEngine(tokenizer, models["qwen3"], [text]) for text in (gold, "I do not know.")]
    _, (good, bad) = roll(agent, row, tokenizer, engines)
    assert (good["reward"], good["scores"], bad["reward"], bad["scores"]) == (1.0, 1.0, 0.0, 0.0)
    assert set(good["extra_logs"]) == set(bad["extra_logs"]) == set(LOGS)
    assert good["extra_logs"]["passed"] == good["extra_logs"][f"passed_{mode}"] == 1
    assert bad["extra_logs"]["malformed"] == 1
    assert bad["extra_logs"]["format"] == bad["extra_logs"]["masked"] == 0
    assert good["extra_logs"][f"mode_{mode}"] == bad["extra_logs"][f"mode_{mode}"] == 1


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("qwen2_5", {}),
        ("qwen3", {}),
        ("qwen3", {"enable_thinking": False}),
        ("qwen3", {"enable_thinking": True}),
        ("llama3_1", {}),
    ],
)
def test_two_answers_are_the_conversation_token_by_token(  # noqa: PLR0917
    agent, families, models, problems, family, settings
):
    tokenizer, problem = families[family], problems[Mode.DEDUCTION]
    (row,) = problem_rows([problem], max_turns=2)
    answers = ["```output\n'wrong'\n```", rules(problem.mode).gold(problem)]
    engine = HuggingFaceEngine(tokenizer, models[family], answers, END[family])
    prompt, (sample,) = roll(agent, row, tokenizer, [engine], settings=settings)

    said = feedback_for(modes.grade(problem, answers[0], node_grader.shared_executor(), hide=True), 1)
    end = END[family]
    between = find_turns(tokenizer, prompt).between(said, end)
    text = prompt + answers[0] + end + between + answers[1] + end
    tokens = sample["observation_tokens"]
    assert tokenizer.decode(tokens) == text
    assert tokens == tokenizer(text, add_special_tokens=False)["input_ids"]  # no seam shows
    spans = [tokenizer.decode(tokens[start:stop]) for start, stop in sample["action_ranges"]]
    assert spans == [answer + end for answer in answers]
    assert len(sample["rollout_log_probs"]) == len(tokens)
    taken = {place for start, stop in sample["action_ranges"] for place in range(start, stop)}
    assert all((value != 0) == (place in taken) for place, value in enumerate(sample["rollout_log_probs"]))
    assert (sample["reward"], sample["extra_logs"]["turn"], sample["extra_logs"]["passed"]) == (1.0, 2.0, 1.0)

    conversation = [("user", row["prompt"]), ("assistant", answers[0]), ("user", said), ("assistant", answers[1])]
    whole = tokenizer.apply_chat_template(
        [{"role": role, "content": content} for role, content in conversation], tokenize=False, **settings
    )
    thought = "<think>\n\n</think>\n\n"  # which Qwen3's template puts into the last answer, and drops from others
    assert text.replace(thought, "") == whole.replace(thought, "").rstrip("\n")


def test_upstream_masks_prompt_and_feedback_and_batches_all_modes(agent, families, models, problems, monkeypatch):
    (samples,) = upstream(monkeypatch, "trainer.ppo_utils.samples_generator")
    from openrlhf.trainer.ppo_utils.experience import Experience, make_experience_batch, split_experience_batch

    tokenizer, found = families["qwen3"], []
    for mode, problem in problems.items():
        (row,) = problem_rows([problem], max_turns=2)
        engine = HuggingFaceEngine(tokenizer, models["qwen3"], ["nonsense", rules(mode).gold(problem)])
        found += roll(agent, row, tokenizer, [engine])[1]
    generator = samples.SamplesGenerator.__new__(samples.SamplesGenerator)
    experiences = [generator._process_response_into_experience(sample, max_len=6000) for sample in found]
    for sample, experience in zip(found, experiences, strict=True):
        marked = experience.sequences[0, 1:][experience.action_mask.bool().squeeze(0)]
        gold = rules(Mode(_mode(sample))).gold(problems[Mode(_mode(sample))])
        assert tokenizer.decode(marked) == f"nonsense<|im_end|>{gold}<|im_end|>"
    for index, experience in enumerate(experiences):
        experience.index = [index]
    batch = Experience.concat_experiences(experiences, tokenizer.pad_token_id)
    again = make_experience_batch(split_experience_batch(batch))
    assert batch.info["reward"].tolist() == batch.rewards.tolist() == [1.0] * len(Mode)
    assert set(LOGS) <= set(again.info)
    assert batch.info["turn"].tolist() == [2.0] * len(Mode)


def _mode(sample) -> str:
    return next(name[5:] for name, value in sample["extra_logs"].items() if name.startswith("mode_") and value)


def test_a_model_that_samples_freely_is_graded(agent, families, models, problems):
    (row,) = problem_rows([problems[Mode.ABDUCTION]], max_turns=3)
    engines = [HuggingFaceEngine(families["qwen3"], models["qwen3"]) for _ in range(4)]
    _, group = roll(agent, row, families["qwen3"], engines, most=12)
    for sample in group:
        assert sample["extra_logs"]["turn"] == len(sample["action_ranges"]) == 3
        assert sample["reward"] == sample["extra_logs"]["reward"] == 0
        assert max(stop - start for start, stop in sample["action_ranges"]) <= 12


def test_an_answer_is_as_long_as_max_new_tokens_allows(agent, families, models, problems):
    tokenizer, problem = families["qwen3"], problems[Mode.DEDUCTION]
    (row,) = problem_rows([problem], max_turns=2)
    engine = HuggingFaceEngine(tokenizer, models["qwen3"], ["x" * 200, rules(problem.mode).gold(problem)])
    _, (sample,) = roll(agent, row, tokenizer, [engine], most=30)
    (start, stop), second = sample["action_ranges"]
    assert (stop - start, engine.most) == (30, [30, 30])
    # The answer was cut: its turn is closed for it.
    assert tokenizer.decode(sample["observation_tokens"][stop : second[0]]).startswith("<|im_end|>\n<|im_start|>user\n")


@pytest.mark.parametrize("family", MARKERS)
def test_an_answer_ends_with_its_turn_whatever_ends_the_models_text(agent, families, models, problems, family):
    tokenizer, problem, end = families[family], problems[Mode.DEDUCTION], END[family]
    (row,) = problem_rows([problem])
    gold = rules(problem.mode).gold(problem)
    engine = HuggingFaceEngine(tokenizer, models[family], [f"{gold}{end}\nand it goes on"], end, stops=False)
    prompt, (sample,) = roll(agent, row, tokenizer, [engine])
    assert tokenizer.decode(sample["observation_tokens"]) == prompt + gold + end
    assert (sample["reward"], sample["truncated"]) == (1.0, False)


def test_a_prompt_without_a_template_has_no_marker_to_stop_at(agent, families, models, problems):
    engine = HuggingFaceEngine(families["qwen3"], models["qwen3"], ["some<|im_end|>thing"], stops=False)
    (row,) = problem_rows([problems[Mode.DEDUCTION]])
    executor = agent.AgentExecutor()
    sample = asyncio.run(executor.execute(row["prompt"], row["label"], sampling(9), 6000, families["qwen3"], engine))
    (start, stop) = sample["action_ranges"][0]
    assert families["qwen3"].decode(sample["observation_tokens"][start:stop]).startswith("some<|im_end|>th")


def test_a_token_budget_that_runs_out_is_logged_and_keeps_its_grade(agent, families, models, problems):
    tokenizer, problem = families["qwen3"], problems[Mode.DEDUCTION]
    (row,) = problem_rows([problem], max_turns=2)
    length = len(tokenizer(templated(tokenizer, row["prompt"]))["input_ids"]) + 20
    engine = HuggingFaceEngine(tokenizer, models["qwen3"], ["```output\n'wrong'\n```"])
    _, (sample,) = roll(agent, row, tokenizer, [engine], length=length)
    assert sample["extra_logs"]["out_of_tokens"] == sample["extra_logs"]["wrong"] == 1
    assert (sample["reward"], len(sample["action_ranges"])) == (0.0, 1)
    assert set(sample["extra_logs"]) == set(LOGS)


class _Faulty:
    """Stands in for a sandbox that breaks, which cannot be had on demand: some replies are never graded."""

    def __init__(self, real, broken) -> None:
        self.real, self.broken, self.tries = real, broken, 0

    async def find(self, label):
        return await self.real.find(label)

    async def grade(self, problem, reply, *, hide=False):
        if reply in self.broken:
            self.tries += 1
            return Grade(outcome=Outcome.INFRA, reason="the sandbox is broken")
        return await self.real.grade(problem, reply, hide=hide)


@pytest.mark.parametrize("estimator", ["dr_grpo", "group_norm"])
def test_what_cannot_be_graded_is_tried_again_then_moves_nothing(  # noqa: PLR0917
    agent, families, models, problems, monkeypatch, estimator
):
    samples, maker = upstream(monkeypatch, "trainer.ppo_utils.samples_generator", "trainer.ppo_utils.experience_maker")

    monkeypatch.setattr(node_grader, "_PATIENCE", (0.0, 0.0))
    faulty = _Faulty(node_grader.LocalGrader(), {"lost"})
    monkeypatch.setattr("code_envs.integrations.openrlhf_agent.make_grader", lambda: faulty)
    tokenizer, problem = families["qwen3"], problems[Mode.DEDUCTION]
    (row,) = problem_rows([problem])
    gold = rules(problem.mode).gold(problem)
    texts = ["lost", gold, "```output\n'wrong'\n```", gold]
    engines = [HuggingFaceEngine(tokenizer, models["qwen3"], [text]) for text in texts]
    _, group = roll(agent, row, tokenizer, engines)
    assert faulty.tries == 3
    assert [sample["extra_logs"]["masked"] for sample in group] == [1, 0, 0, 0]
    assert [sample["extra_logs"]["infra"] for sample in group] == [1, 0, 0, 0]
    assert group[0]["reward"] == group[0]["scores"] == pytest.approx(2 / 3)

    experiences = _advantages(samples, maker, group, estimator)
    first, *others = experiences
    assert first.action_mask.sum() == 1
    assert first.advantages.abs().max() < 1e-6
    alone = _advantages(samples, maker, group[1:], estimator)
    for with_it, without in zip(others, alone, strict=True):
        scale = 1.0 if estimator == "dr_grpo" else (3 / 2) ** 0.5  # the deviation counts the mean as one more
        assert with_it.advantages.sum().item() == pytest.approx(without.advantages.sum().item() * scale, rel=1e-4)


def test_upstream_starts_groups_whose_members_find_each_other(agent, families, models, problems, monkeypatch):
    monkeypatch.setattr(node_grader, "_PATIENCE", ())
    faulty = _Faulty(node_grader.LocalGrader(), {"lost"})
    monkeypatch.setattr("code_envs.integrations.openrlhf_agent.make_grader", lambda: faulty)
    tokenizer, problem = families["qwen3"], problems[Mode.DEDUCTION]
    (row,) = problem_rows([problem])
    prompt, executor = templated(tokenizer, row["prompt"]), agent.AgentExecutor()
    gold = rules(problem.mode).gold(problem)
    scripts = [["lost", gold, gold, "```output\n'wrong'\n```"], ["lost", "?", "?", "?"]]
    actors = [
        rollout_actor(monkeypatch, executor, HuggingFaceEngine(tokenizer, models["qwen3"], script).generate)
        for script in scripts
    ]

    async def at_once():
        calls = (actor.generate_responses(prompt, row["label"], sampling(), 6000, tokenizer, 4) for actor in actors)
        return await asyncio.gather(*calls)

    groups = asyncio.run(at_once())
    masked = [[sample["reward"] for sample in group if sample["extra_logs"]["masked"]] for group in groups]
    assert masked == [[pytest.approx(2 / 3)], [0.0]]
    assert not executor._groups


def test_a_masked_attempt_without_its_group_is_an_error_in_the_log(  # noqa: PLR0917
    agent, families, models, problems, monkeypatch, caplog
):
    monkeypatch.setattr(node_grader, "_PATIENCE", ())
    faulty = _Faulty(node_grader.LocalGrader(), {"lost"})
    monkeypatch.setattr("code_envs.integrations.openrlhf_agent.make_grader", lambda: faulty)
    (row,) = problem_rows([problems[Mode.DEDUCTION]])
    roll(agent, row, families["qwen3"], [HuggingFaceEngine(families["qwen3"], models["qwen3"], ["lost"])])
    assert "has no group" in caplog.text
    caplog.clear()
    pair = [HuggingFaceEngine(families["qwen3"], models["qwen3"], [text]) for text in ("lost", "?")]
    roll(agent, row, families["qwen3"], pair)
    assert "has no group" not in caplog.text


def _advantages(samples, maker, group, estimator):
    """Upstream's way from responses to advantages, for a group in one batch."""
    import torch

    generator = samples.SamplesGenerator.__new__(samples.SamplesGenerator)
    found = [generator._process_response_into_experience(sample, max_len=6000) for sample in group]
    for index, experience in enumerate(found):
        experience.index = [index]
        experience.kl = torch.zeros_like(experience.action_mask, dtype=torch.float)
    shaping = maker.RemoteExperienceMaker.__new__(maker.RemoteExperienceMaker)
    shaping.args = SimpleNamespace(
        rollout=SimpleNamespace(n_samples_per_prompt=len(found), max_new_tokens=None),
        reward=SimpleNamespace(clip_range=None, overlong_buffer_len=None, stop_properly_penalty_coef=None),
        algo=SimpleNamespace(advantage=SimpleNamespace(estimator=estimator, gamma=1.0, lambd=1.0, no_std_norm=True)),
    )
    shaping.strategy = SimpleNamespace(args=shaping.args)
    shaping.advantage_estimator, shaping.kl_ctl = estimator, SimpleNamespace(value=0.0)
    return shaping.compute_advantages_and_returns(found)


def test_a_group_of_which_nothing_was_graded_has_no_advantage(agent, families, models, problems, monkeypatch):
    monkeypatch.setattr(node_grader, "_PATIENCE", ())
    faulty = _Faulty(node_grader.LocalGrader(), {"lost"})
    monkeypatch.setattr("code_envs.integrations.openrlhf_agent.make_grader", lambda: faulty)
    (row,) = problem_rows([problems[Mode.DEDUCTION]])
    engines = [HuggingFaceEngine(families["qwen3"], models["qwen3"], ["lost"]) for _ in range(3)]
    _, group = roll(agent, row, families["qwen3"], engines)
    assert [(sample["reward"], sample["extra_logs"]["masked"]) for sample in group] == [(0.0, 1.0)] * 3


def test_a_lazy_row_gets_its_problem_in_place_of_the_placeholder(agent, families, models, problems):
    from code_envs.integrations.openrlhf_data import seed_rows

    tokenizer = families["llama3_1"]
    (row,) = seed_rows("code_envs/Deduction-v0", 1, 3, level=0, lazy=True)
    engine = HuggingFaceEngine(tokenizer, models["llama3_1"], ["?"], END["llama3_1"])
    roll(agent, row, tokenizer, [engine])
    env = CodeEnv("deduction", level=0)
    observation, _ = env.reset(seed=json.loads(row["label"])["seed"])
    assert tokenizer.decode(engine.asked[0]) == templated(tokenizer, observation)


def test_the_reward_file_does_the_same_for_one_answer(families, models, problems):
    from openrlhf.utils.agent import SingleTurnAgentExecutor

    path = importlib.util.find_spec(f"code_envs.integrations.{PATHS['openrlhf-reward']}").origin
    executor, tokenizer = SingleTurnAgentExecutor([path]), families["llama3_1"]
    for mode, problem in problems.items():
        (row,) = problem_rows([problem])
        for text, reward in ((rules(mode).gold(problem), 1.0), ("nonsense", 0.0)):
            engine = HuggingFaceEngine(tokenizer, models["llama3_1"], [text], END["llama3_1"])
            prompt = templated(tokenizer, row["prompt"])
            sample = asyncio.run(executor.execute(prompt, row["label"], sampling(), 6000, tokenizer, engine))
            assert (sample["reward"], sample["scores"]) == (reward, reward)
            assert set(sample["extra_logs"]) == set(LOGS)
