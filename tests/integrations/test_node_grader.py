"""One pool for a machine, and a curriculum in the loop: in a real Ray cluster."""

import asyncio
import importlib.util
import os
import signal
import sys

import pytest

from code_envs import ConfigError, modes
from code_envs.curricula import Sampler
from code_envs.curricula.service import CurriculumService
from code_envs.envs.single import CodeEnv
from code_envs.integrations import node_grader
from code_envs.integrations.openrlhf_data import curriculum_rows, problem_rows
from code_envs.integrations.openrlhf_rollout import Rollout
from code_envs.modes import rules
from code_envs.problem import Mode

needs_ray = [
    pytest.mark.extra,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs: pip install 'code-envs[ray]'"),
    pytest.mark.filterwarnings("default"),  # the library's own
]


@pytest.fixture(scope="module")
def ray(start_ray):
    """A cluster of this machine."""
    with start_ray(num_cpus=2) as ray:
        yield ray


@pytest.fixture(scope="module")
def problems(executor):
    found = []
    for mode in Mode:
        env = CodeEnv(mode, level=0, executor=executor)
        env.reset(seed=5)
        found.append(env.problem)
    return found


def test_without_a_cluster_the_process_has_one_grader(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    grader = node_grader.make_grader()
    assert isinstance(grader, node_grader.LocalGrader)
    assert node_grader.make_grader() is grader


def test_the_number_of_workers_is_the_environments(monkeypatch):
    monkeypatch.setenv(node_grader.WORKERS, "3")
    assert node_grader._workers() == 3
    monkeypatch.setenv(node_grader.WORKERS, "many")
    with pytest.raises(ConfigError, match="CODE_ENVS_WORKERS is 'many'"):
        node_grader._workers()


class TestInACluster:
    pytestmark = needs_ray

    def test_all_processes_of_a_machine_share_one_pool(self, ray, problems):
        @ray.remote(num_cpus=0)
        class Engine:
            """Grades as an inference engine does, in a process of its own."""

            async def roll(self, labels):
                grader = node_grader.make_grader()
                found = [await grader.find(node_grader.read_label(label)) for label in labels]
                grades = [await grader.grade(problem, rules(problem.mode).gold(problem)) for problem in found]
                return os.getpid(), (await grader.about())["pid"], [grade.passed for grade in grades]

        labels = [row["label"] for row in problem_rows(problems)]
        labels.append('{"env": "code_envs/Deduction-v0", "seed": 3}')
        engines = [Engine.remote() for _ in range(3)]
        found = ray.get([engine.roll.remote(labels) for engine in engines])
        assert len({own for own, _, _ in found}) == 3
        assert len({pool for _, pool, _ in found}) == 1
        assert all(passed == [True] * 5 for _, _, passed in found)

    def test_a_pool_that_dies_is_started_again(self, ray, problems):
        async def check():
            grader = node_grader.make_grader()
            first = (await grader.about())["pid"]
            os.kill(first, signal.SIGKILL)
            gold = rules(problems[0].mode).gold(problems[0])
            assert (await node_grader.grade_patiently(grader, problems[0], gold)).passed
            assert (await grader.about())["pid"] != first

        asyncio.run(check())

    def test_what_a_grader_refuses_reaches_the_caller_as_itself(self, ray):
        with pytest.raises(ConfigError, match="Unknown environment 'CartPole-v1'"):
            asyncio.run(node_grader.make_grader().find(node_grader.Label(env="CartPole-v1", seed=1)))

    def test_a_curriculum_actor_chooses_for_groups_and_is_told(self, ray, problems):
        from code_envs.integrations.ray_service import serve

        class Plain:
            def apply_chat_template(self, conversation, **settings):
                raise ValueError("no template")

        client = serve(
            lambda: CurriculumService(Sampler(problems, "learnability", batch_size=2, group_size=2, seed=1)),
            name="chooser",
            num_cpus=0,
        )
        grader = node_grader.make_grader()

        async def member(row):
            rollout = Rollout(row["label"], grader, Plain())
            prompt = await rollout.begin(f"Q: {row['prompt']}\nA:")
            await rollout.answer(rules(rollout.problem.mode).gold(rollout.problem))
            await rollout.finish()
            return prompt, rollout

        async def groups():
            rows = list(curriculum_rows("chooser", 3))
            return await asyncio.gather(*(member(row) for row in rows for _ in range(2)))

        found = asyncio.run(groups())
        for (prompt, rollout), (other, twin) in zip(found[::2], found[1::2], strict=True):
            assert prompt == other == f"Q: {modes.prompt(rollout.problem).text.strip()}\nA:"
            assert rollout.problem == twin.problem
            assert rollout.logs()["passed"] == twin.logs()["passed"] == 1
        stats = client.stats_sync()
        client.stop_sync()
        assert (stats["asked"], stats["reports"], stats["unscored"]) == (6, 6, 0)

    def test_the_launchers_hook_reaches_the_processes_of_a_job(self, ray):
        from code_envs.integrations.openrlhf_launch import _HOOK

        @ray.remote(num_cpus=0, runtime_env={"env_vars": {"PROBE": "1"}})
        def finders():
            from ray._private.runtime_env.setup_hook import load_and_execute_setup_hook_module

            assert load_and_execute_setup_hook_module(_HOOK) is None
            return [type(finder).__name__ for finder in sys.meta_path]

        assert ray.get(finders.remote())[0] == "_Finder"
