"""``export`` and ``path``: what other libraries read of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from code_envs.commands.needs import Need, refuse_idle, was_given
from code_envs.commands.output import AsJson, SeedOption, find_env, output_option, print_json, stderr

if TYPE_CHECKING:
    from code_envs.problem import Chain

__all__ = ["PATHS", "export", "export_run", "path"]

TARGETS = ("huggingface", "openrlhf")
_FOR_CURRICULA = ("steps", "batch_size", "skip_starved")
_FOR_ENVS = ("level", "lazy")
_OF_PROBLEMS = ("eval_bins", "curriculum", "labels")
_FOR_TRAINERS = (*_OF_PROBLEMS, *_FOR_CURRICULA, *_FOR_ENVS, "service", "max_turns", "count")
_PUSHED = ("huggingface", "jsonl"), ("huggingface", "parquet")
PATHS = {"openrlhf": "openrlhf_adapter", "openrlhf-reward": "openrlhf_reward"}
"""Files that a library loads by their path, by the names that ``code-envs path`` knows."""


def export(
    context: typer.Context,
    *,
    source: Annotated[
        str, typer.Argument(metavar="RUN", help="A run folder; for a trainer also a file of problems, or an ENV.")
    ],
    output: Annotated[Path, output_option("The dataset folder.")],
    target: Annotated[str, typer.Option("--for", help="Who reads it: huggingface or openrlhf.")] = "huggingface",
    kind: Annotated[str, typer.Option("--format", help="jsonl, parquet or hf; for huggingface.")] = "jsonl",
    eval_share: Annotated[float, typer.Option("--eval-share", help="The share that goes into a split eval.")] = 0.0,
    eval_bins: Annotated[
        str, typer.Option("--eval-bins", help="Evaluate by these bins of pass rates, too: chain, broad or a TOML file.")
    ] = "",
    curriculum: Annotated[str, typer.Option("--curriculum", help="Order the rows by this preset or TOML file.")] = "",
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Training steps of the curriculum.")] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Prompts in a training step.")] = 128,
    skip_starved: Annotated[
        bool, typer.Option("--skip-starved", help="Pass over bins of the curriculum that hold no problem.")
    ] = False,
    service: Annotated[str, typer.Option("--service", help="Leave the choice to the service of this name.")] = "",
    max_turns: Annotated[int, typer.Option("--max-turns", min=1, help="Answers that an episode may have.")] = 1,
    labels: Annotated[str, typer.Option("--labels", help="record, or key: records in a file beside.")] = "record",
    count: Annotated[int, typer.Option("--count", min=1, help="Rows, for an ENV or a service.")] = 1000,
    level: Annotated[int | None, typer.Option("--level", help="The level of an ENV's problems.")] = None,
    lazy: Annotated[bool, typer.Option("--lazy", help="Make an ENV's problems only when they are rolled out.")] = False,
    to_hub: Annotated[
        str, typer.Option("--push", metavar="REPOSITORY", help="Also upload it to the Hugging Face hub: someone/name.")
    ] = "",
    private: Annotated[bool, typer.Option("--private", help="Make that dataset private.")] = False,
    seed: SeedOption = 0,
    as_json: AsJson = False,
) -> None:
    """Export problems as a dataset, also for a trainer; siblings stay in one split."""
    from code_envs.errors import ConfigError, UnknownName

    if target not in TARGETS:
        raise UnknownName("reader", target, TARGETS)
    if to_hub and (target, kind) not in _PUSHED:
        raise ConfigError(
            "--push needs --for huggingface and --format jsonl or parquet: hf is the layout of a local disk"
        )
    env_id = "" if target == "huggingface" or service or Path(source).exists() else find_env(source)
    refuse_idle(
        context,
        Need("--for huggingface", target == "huggingface", ("kind", "private")),
        Need("--for openrlhf", target == "openrlhf", _FOR_TRAINERS),
        Need("--push", to_hub, ("private",)),
        Need("--eval-share", was_given(context, "eval_share"), ("eval_bins",)),
        Need("--curriculum", curriculum, _FOR_CURRICULA),
        Need("no --service", not service, ("curriculum", "labels")),
        Need("a run or a file of problems", not env_id, ("eval_share", *_OF_PROBLEMS)),
        Need("an ENV", env_id, _FOR_ENVS),
        Need("--service or an ENV", service or env_id, ("count",)),
    )
    held = {"max_turns": max_turns, "eval_share": eval_share, "eval_bins": eval_bins or None, "seed": seed}
    if target == "huggingface":
        files = export_run(Path(source), output, kind, eval_share, seed)
    elif service:
        files = _for_service(Path(source), output, service, count, **held)
    elif not env_id:
        sampler = _sampler(curriculum, steps, batch_size, skip_starved)
        files = _from_problems(Path(source), output, **held, labels=labels, sampler=sampler)
    else:
        settings: dict[str, Any] = {"level": level, "max_turns": max_turns, "lazy": lazy}
        files = _write(output, lambda data: data.seed_rows(env_id, count, seed, **settings))
    noun = "problems" if target == "huggingface" else "rows"
    where = _push(output, files, to_hub, private) if to_hub else None
    if as_json:
        print_json({"problems": sum(files.values()), "files": list(files), "pushed": where})
    else:
        print(f"{sum(files.values())} {noun}: {', '.join(files)}")
        print(f"Pushed to {where}" if where else "", end="\n" if where else "")
    if curriculum and not service:
        stderr().print("Train with python -m code_envs.integrations.openrlhf_launch: it keeps the order.", markup=False)


def _write(output: Path, rows: Callable[[Any], Iterable[Mapping[str, Any]]]) -> dict[str, int]:
    from code_envs.integrations import openrlhf_data as data
    from code_envs.integrations.dataset_folder import dataset_folder

    file = "train.jsonl"
    with dataset_folder(output, [file]) as scratch:
        return {str(output / file): data.write_rows(rows(data), scratch / file)}


def _from_problems(source: Path, output: Path, **settings: Any) -> dict[str, int]:
    from code_envs.generation import dated_problems
    from code_envs.integrations.openrlhf_data import write_dataset

    return write_dataset(dated_problems(source), output, relatives=_relatives(source), **settings)


def _for_service(source: Path, output: Path, name: str, count: int, **settings: Any) -> dict[str, int]:
    from code_envs.generation import dated_problems
    from code_envs.integrations.openrlhf_data import write_served

    return write_served(dated_problems(source), output, name, count, relatives=_relatives(source), **settings)


def _relatives(source: Path) -> Iterable[Chain]:
    """The chains of a run, which say who is whose sibling; a file of problems has none."""
    from code_envs.generation import CHAINS
    from code_envs.problem import load_chains

    return load_chains(source / CHAINS) if (source / CHAINS).exists() else ()


def export_run(run: Path, output: Path, kind: str, eval_share: float, seed: int) -> dict[str, int]:
    """Write a run as a dataset with its card; returns how many problems each file stands for."""
    from code_envs.generation import CHAINS, dated_problems, load_config
    from code_envs.integrations.huggingface_adapter import write
    from code_envs.problem import load_chains
    from code_envs.report.card import describe_run

    load_config(run)  # says so if this is no run
    problems = dated_problems(run)
    chains = load_chains(run / CHAINS)
    about = describe_run(run)
    paths = write(problems, output, kind, eval_share=eval_share, seed=seed, relatives=chains, about=about)
    return dict.fromkeys(map(str, paths), 0) | {str(paths[0]): len(problems)}


def _push(folder: Path, files: Iterable[str], repository: str, private: bool) -> str:
    from code_envs.integrations.huggingface_adapter import push

    return push(folder, [Path(file) for file in files], repository, private=private)


def _sampler(curriculum: str, steps: int | None, batch_size: int, skip: bool) -> dict[str, Any] | None:
    from code_envs.errors import ConfigError

    if not curriculum:
        return None
    if steps is None:
        raise ConfigError("--curriculum needs --steps: the training steps that it is spread over")
    return {
        "policy": curriculum,
        "steps": steps,
        "batch_size": batch_size,
        "starved": "skip" if skip else "refuse",
    }


def path(name: Annotated[str, typer.Argument(metavar="NAME", help=f"One of {', '.join(PATHS)}.")]) -> None:
    """Print the path of a file that another library loads by its path."""
    from importlib.util import find_spec

    from code_envs.errors import UnknownName

    if name not in PATHS:
        raise UnknownName("file", name, PATHS)
    spec = find_spec(f"code_envs.integrations.{PATHS[name]}")
    assert spec is not None
    print(spec.origin)
