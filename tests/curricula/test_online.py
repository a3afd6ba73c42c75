import pytest

from code_envs.curricula import OnlineConfig, OnlineSettings, load_online, open_service
from code_envs.errors import ConfigError, UnknownName
from code_envs.models import ModelConfig
from code_envs.problem import Case, Mode, Problem, save_records
from code_envs.teacher import ModelTeacher

WHOLE = """
problems = "problems.jsonl"
policy = "soft"
steps = 20
batch_size = 2
group_size = 3
bins = "chain"
modes = "equal"
starved = "skip"
seed = 4
teacher = "procedural"

[online]
half_life = 12
target = [0.3, 0.6]
rebin = true
"""


@pytest.fixture
def write(tmp_path, stepping_stones):
    (tmp_path / "problems.jsonl").write_text("".join(problem.to_json() + "\n" for problem in stepping_stones[:30]))

    def to(text):
        (tmp_path / "online.toml").write_text(text)
        return tmp_path / "online.toml"

    return to


def test_a_file_describes_a_service(write, tmp_path, monkeypatch):
    path = write(WHOLE)
    monkeypatch.chdir("/")  # paths are relative to the file
    config = load_online(path)
    assert config.online == OnlineSettings(half_life=12, target=(0.3, 0.6), rebin=True)
    with open_service(config, tmp_path / "state") as service:
        assert {service.ask("a").index for _ in range(3)} == {0}
        assert (service.sampler.group_size, service.sampler.seed, len(service.problems)) == (3, 4, 30)
    with open_service(config, tmp_path / "state") as service:
        assert service.stats()["asked"] == 3


def test_a_model_may_teach(write):
    pytest.importorskip("openai")
    config = load_online(
        write(
            'problems = "problems.jsonl"\nteacher = "big-model"\nrepairs = 1\nplant_faults = true\n'
            '[teacher_model]\nbase_url = "http://127.0.0.1:9/v1"\n[teacher_model.sampling]\nmax_tokens = 77\n'
        )
    )
    teacher = config.make_teacher()()
    assert isinstance(teacher, ModelTeacher)
    assert (teacher.name, teacher.repairs, teacher.config.sampling.max_tokens) == ("big-model", 1, 77)
    assert teacher.plant_faults
    assert config.teacher_model == ModelConfig(
        model="big-model", base_url="http://127.0.0.1:9/v1", sampling=teacher.config.sampling
    )


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ('policy = "soft"\n', ConfigError, "missing required field `problems`"),
        ('problems = "p"\npolicies = "soft"\n', UnknownName, "Did you mean 'policy'"),
        ('problems = "p"\nteacher = "procedurl"\n', UnknownName, "Did you mean 'procedural'"),
        ('problems = "p"\nbatch_size = "x"\n', ConfigError, r"Expected `int`, got `str` - at `\$.batch_size`"),
        ('problems = "p"\nseed = -1\n', ConfigError, "seed is -1"),
        ('problems = "p"\nconstrain = "gramar"\n', UnknownName, "Did you mean 'grammar'"),
        ('problems = "p"\nonline = 3\n', ConfigError, "must be a table"),
        ('problems = "p"\n[online]\nhalflife = 3\n', UnknownName, "Did you mean 'half_life'"),
        ('problems = "p"\n[online]\nhalf_life = -3\n', ConfigError, r"^half_life must be positive, not -3\.0$"),
        ('problems = "p"\n[teacher_model]\nurl = "x"\n', UnknownName, "key in"),
        ('problems = "p"\n[teacher_model.sampling]\ntemprature = 1\n', UnknownName, "Did you mean 'temperature'"),
        ('problems = "p', ConfigError, "is not TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(write, text, kind, message):
    with pytest.raises(kind, match=message):
        load_online(write(text))


def test_what_a_sampler_refuses_is_refused_when_the_service_is_made(stepping_stones):
    with pytest.raises(UnknownName, match="Did you mean 'soft'"):
        open_service(OnlineConfig(problems="nowhere.jsonl", policy="sofd"))
    with pytest.raises(FileNotFoundError):
        open_service(OnlineConfig(problems="nowhere.jsonl"))


def test_what_is_held_out_is_never_handed_out(write, tmp_path, stepping_stones):
    first, second = stepping_stones[0], stepping_stones[1]
    assert first.lineage.chain
    alone = stepping_stones[29].but(lineage=stepping_stones[29].lineage.but(chain="", parent=second.key))
    (tmp_path / "held.jsonl").write_text(first.to_json() + "\n" + alone.to_json() + "\n")
    path = write('problems = "problems.jsonl"\nheld_out = "held.jsonl"\npolicy = "learnability"\nbatch_size = 2\n')
    with open_service(load_online(path)) as service:
        keys = {service.ask(ticket).problem.key for ticket in range(200)}
        chains = {problem.lineage.chain for problem in service.problems}
    assert first.lineage.chain not in chains  # nor its siblings
    assert not keys & {first.key, second.key, alone.key}
    (tmp_path / "held.jsonl").write_text((tmp_path / "problems.jsonl").read_text())
    with pytest.raises(ConfigError, match="at least one problem"):
        open_service(load_online(path))


def test_what_shows_the_same_as_a_held_out_problem_is_not_handed_out(tmp_path):
    def reached(*cases):
        return [
            Problem(mode=Mode.ABDUCTION, program="def f(x):\n    return x * x\n", signature="f(x)", cases=(case,))
            for case in cases
        ]

    held_out = reached(Case.of((3,), 9))
    save_records(tmp_path / "held.jsonl", held_out)
    save_records(tmp_path / "problems.jsonl", [*reached(Case.of((-3,), 9)), *reached(Case.of((4,), 16))])
    config = OnlineConfig(
        problems=str(tmp_path / "problems.jsonl"), held_out=str(tmp_path / "held.jsonl"), policy="learnability"
    )
    with open_service(config) as service:
        assert [problem.cases[0].result for problem in service.problems] == ["16"]
