"""From replies to grades, one by one or in batches."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from code_envs.errors import ConfigError, LiteralError, ProblemError, ValueRefused
from code_envs.executor import Execution, Executor, Job
from code_envs.modes.base import Answer, Grade, Outcome
from code_envs.modes.limits import limited
from code_envs.modes.registry import rules
from code_envs.modes.verdicts import TIME, cpu_spent
from code_envs.problem import Mode, Problem

__all__ = ["grade", "grade_batch", "grade_many", "lacks_result"]

_STEP = 8  # calls of a script that are run before it is looked at whether it takes too long


def grade(problem: Problem, reply: str | Answer, executor: Executor, *, hide: bool = False) -> Grade:
    """Grade one reply.

    Args:
        problem: What was asked.
        reply: What the student wrote, or an answer that was read already.
        executor: Runs what has to be run.
        hide: See :func:`grade_batch`.

    Returns:
        The verdict.
    """
    return grade_batch([(problem, reply)], executor, hide=hide)[0]


def grade_many(
    problem: Problem, replies: Sequence[str | Answer], executor: Executor, *, hide: bool = False
) -> list[Grade]:
    """Grade several replies to one problem, in parallel; see :func:`grade_batch`."""
    if isinstance(replies, str):
        raise ConfigError("replies is one text: give a list of replies, or call grade")
    return grade_batch([(problem, reply) for reply in replies], executor, hide=hide)


def grade_batch(
    pairs: Sequence[tuple[Problem, str | Answer]], executor: Executor, *, hide: bool = False
) -> list[Grade]:
    """Grade replies to any problems, in parallel over the executor's workers.

    Equal answers to one problem are run once.

    Args:
        pairs: Problems with replies, in any mix.
        executor: Runs what has to be run.
        hide: Run the calls that feedback tells about in a process that never holds the arguments of the
            hidden ones. For students that see the feedback; costs a second process in induction.

    Returns:
        One grade for each pair, in order.

    Raises:
        ProblemError: A problem lacks the result that it asks for, as a student's view of it does.
    """
    for problem, _ in pairs:
        if lacks_result(problem):
            raise ProblemError(f"problem {problem.key} cannot be graded: its case has no result")
    answers = [_read(*pair) for pair in pairs]
    jobs: dict[tuple[str, Answer], list[Job]] = {}
    for (problem, _), answer in zip(pairs, answers, strict=True):
        if not answer.complaint and (problem.key, answer) not in jobs:
            own = limited(problem, rules(problem.mode).jobs(problem, answer), executor)
            jobs[problem.key, answer] = _apart(problem, own) if hide and problem.hidden else own
    executions = iter(_run([job for own in jobs.values() for job in own], executor))
    results = {known: [next(executions) for _ in own] for known, own in jobs.items()}
    grades: dict[tuple[str, Answer], Grade] = {}
    for (problem, _), answer in zip(pairs, answers, strict=True):
        known = (problem.key, answer)
        if known not in grades:
            malformed = _malformed(answer.complaint)
            grades[known] = malformed or _judge(problem, answer, results[known])
    return [grades[problem.key, answer] for (problem, _), answer in zip(pairs, answers, strict=True)]


def lacks_result(problem: Problem) -> bool:
    """Whether a problem asks for, or shows, a result that the record does not hold."""
    return problem.mode in (Mode.ABDUCTION, Mode.DEDUCTION) and not problem.cases[0].result


def _apart(problem: Problem, jobs: list[Job]) -> list[Job]:
    """The calls of the visible cases, then those of the hidden ones, in a process each."""
    (job,), shown = jobs, len(problem.cases)
    return [replace(job, calls=job.calls[:shown]), replace(job, calls=job.calls[shown:])]


def _run(jobs: Sequence[Job], executor: Executor) -> list[list[Execution]]:
    """Run jobs; a script is not run further once it took too long.

    Each of its calls has the whole time limit: one that never ends would cost it for every case.
    """
    done: list[list[Execution]] = [[] for _ in jobs]
    step = 1
    while left := [(job, own) for job, own in zip(jobs, done, strict=True) if len(own) < len(job.calls)]:
        parts = [replace(job, calls=job.calls[len(own) :][: step if job.is_script else None]) for job, own in left]
        for (job, own), runs in zip(left, executor.run_jobs(parts), strict=True):
            own += runs
            slow = next((run for run in runs if run.status in TIME), None)
            if slow and job.is_script:
                rest = replace(slow, message="not reached", cpu_seconds=0.0, wall_seconds=0.0)
                own += [rest] * (len(job.calls) - len(own))
        step = min(2 * step, _STEP)
    return done


def _judge(problem: Problem, answer: Answer, executions: list[list[Execution]]) -> Grade:
    runs = [run for own in executions for run in own]
    seen = [runs] if problem.mode is Mode.INDUCTION else executions  # where the hidden calls ran apart
    graded = rules(problem.mode).judge(problem, answer, seen)
    cpu_seconds = cpu_spent(executions, script=problem.is_script)
    return replace(graded, cpu_seconds=cpu_seconds, isolation=runs[0].isolation if runs else None)


def _read(problem: Problem, reply: str | Answer) -> Answer:
    if isinstance(reply, str):
        return rules(problem.mode).read(problem, reply)
    try:
        rules(problem.mode).jobs(problem, reply)
        return reply
    except (LiteralError, ProblemError, ValueRefused) as error:
        return Answer(complaint=str(error))


def _malformed(complaint: str) -> Grade | None:
    if not complaint:
        return None
    feedback = f"Your reply could not be read: {complaint}."
    return Grade(outcome=Outcome.MALFORMED, reason=complaint, feedback=feedback)
