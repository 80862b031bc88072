"""Steps that could not work hold their job with one clear error, and nothing of them begins."""

import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from failsoft.job_engine import AsyncJobContext, JobContext, JobState, RetryPolicy, job
from failsoft.job_engine.steps.journal import MAX_STEPS
from failsoft.job_engine.values.codec import MAX_DEPTH, MAX_RESULT_BYTES
from tests.unit.bad_input.refusals import (
    NAIVE,
    NO_CALLABLES,
    NO_SPANS,
    NO_TEXT,
    NO_WHOLE_NUMBERS,
    OUT_OF_SPAN,
    SECOND,
    TOO_LATE,
)
from tests.unit.support.attempts import AttemptRunner, Mail, Worker

WORKER = Worker()
SPANS = tuple(value for value in (*NO_SPANS, *OUT_OF_SPAN) if value is not None)
NAMES = (*NO_TEXT, "", " ", "a" * 129, "a\n", "a\0b", "\ud800")
NEGATIVE = (-SECOND, timedelta.max)
POLICIES = (3, True, {"max_attempts": 3}, RetryPolicy)
NO_TEXT_AT_ALL = tuple(value for value in NO_TEXT if value is not None)

Rows = dict[str, tuple[Callable[[Any, Any], Any], tuple[Any, ...]]]


def work() -> int:
    WORKER.calls.append(())
    return 1


async def awaited() -> int:
    return work()


#: Of each option: how it is given to a context, and what it may not be. `ctx.x(...)` of the plain
#: and of the async context alike; those of `JobContext.run` stand for `branch`, too.
ROWS: Rows = {
    "run.name": (lambda ctx, value: ctx.run(value, work), NAMES),
    "run.fn": (lambda ctx, value: ctx.run("a", value), NO_CALLABLES),
    "run.retry": (lambda ctx, value: ctx.run("a", work, retry=value), POLICIES),
    "run.timeout": (
        lambda ctx, value: ctx.run("a", work, timeout=value),
        (*SPANS, timedelta(days=1)),
    ),
    "run.once": (lambda ctx, value: ctx.run("a", work, once=value), (1, "yes", None)),
    "run.verify": (lambda ctx, value: ctx.run("a", work, once=True, verify=value), (5, "find")),
    "run.tx": (lambda ctx, value: ctx.run("a", work, tx=value), (1, "yes", None)),
    "branch.name": (lambda ctx, value: parallel(ctx, value, work), NAMES),
    "branch.fn": (lambda ctx, value: parallel(ctx, "a", value), NO_CALLABLES),
    "branch.retry": (lambda ctx, value: parallel(ctx, "a", work, retry=value), POLICIES),
    "branch.timeout": (lambda ctx, value: parallel(ctx, "a", work, timeout=value), SPANS),
    "parallel.branches": (lambda ctx, value: ctx.parallel(value), (5, "a", work, None)),
    "parallel.at_once": (
        lambda ctx, value: ctx.parallel(ctx.branch("a", work), at_once=value),
        (*NO_WHOLE_NUMBERS, 0, -1, 1_001),
    ),
    "batches.name": (lambda ctx, value: loop(ctx, value, [1], 1), ("", "a" * 129, "a\0b")),
    "batches.items": (lambda ctx, value: loop(ctx, "a", value, 1), (5, None, work)),
    "batches.size": (
        lambda ctx, value: loop(ctx, "a", [1], value),
        (*NO_WHOLE_NUMBERS, 0, -1, 1_000_001),
    ),
    "sleep.name": (lambda ctx, value: ctx.sleep(value, SECOND), NAMES),
    "sleep.span": (lambda ctx, value: ctx.sleep("a", value), (*NO_SPANS, *NEGATIVE)),
    "sleep_until.name": (lambda ctx, value: ctx.sleep_until(value, TOO_LATE), NAMES),
    "sleep_until.moment": (
        lambda ctx, value: ctx.sleep_until("a", value),
        (5, "2030-01-01", SECOND, NAIVE, TOO_LATE),
    ),
    "wait_for_event.name": (lambda ctx, value: ctx.wait_for_event(value), NAMES),
    "wait_for_event.key": (
        lambda ctx, value: ctx.wait_for_event("a", key=value),
        (*NO_TEXT_AT_ALL, "", "k" * 256, "k\0"),
    ),
    "wait_for_event.timeout": (lambda ctx, value: ctx.wait_for_event("a", timeout=value), SPANS),
    "wait_for_event.step": (
        lambda ctx, value: ctx.wait_for_event("a", step=value),
        (5, ["a"], "a" * 129),
    ),
    "invoke.job": (lambda ctx, value: ctx.invoke(value, Mail()), (5, "welcome", None, work)),
}


def parallel(ctx: Any, name: Any, fn: Any, **options: Any) -> Any:
    return ctx.parallel(ctx.branch(name, fn, **options))


def loop(ctx: Any, name: Any, items: Any, size: Any) -> Any:
    if isinstance(ctx, JobContext):
        return list(ctx.batches(name, items, size=size))

    async def turns() -> list[Any]:
        return [batch async for batch in ctx.batches(name, items, size=size)]

    return turns()


def held(give: Callable[[Any], Any]) -> list[str]:
    """Hold a plain and an async job; return why, and expect that no step began."""
    reasons = []
    for runner in (plain(give), awaiting(give)):
        WORKER.calls.clear()
        assert runner.executor.run(runner.claim(), runner.lease) is JobState.HELD
        assert runner.job.error is not None
        assert (WORKER.calls, runner.step_names) == ([], [])
        reasons.append(runner.job.error.message)
    return reasons


def plain(give: Callable[[Any], Any]) -> AttemptRunner:
    return AttemptRunner(give)


def awaiting(give: Callable[[Any], Any]) -> AttemptRunner:
    @job(name="welcome")
    async def handler(payload: Mail, ctx: AsyncJobContext) -> Any:
        given = give(ctx)
        return await given if inspect.isawaitable(given) else given

    runner = AttemptRunner()
    runner.definitions = [handler]
    return runner


PAIRS = [(option, value) for option, (_, values) in ROWS.items() for value in values]


@pytest.mark.parametrize(
    ("option", "value"), PAIRS, ids=[f"{n}-{pair[0]}" for n, pair in enumerate(PAIRS)]
)
def test_an_option_that_could_not_work(option: str, value: Any) -> None:
    for reason in held(lambda ctx: ROWS[option][0](ctx, value)):
        assert "expected " in reason
        assert "got " in reason


def test_no_option_is_left_out() -> None:
    methods = ("run", "branch", "parallel", "batches", "sleep", "sleep_until", "wait_for_event")
    given = {
        f"{method}.{name}"
        for method in (*methods, "invoke")
        for name in inspect.signature(getattr(JobContext, method)).parameters
        if name not in ("self", "args", "named")
    }
    # A payload of an event is any type, and `raises` a mere yes or no; a payload that a job could
    # not take is refused by `encode_payload`, whose tables are those of the dispatch.
    assert given - set(ROWS) == {
        "wait_for_event.payload",
        "wait_for_event.raises",
        "invoke.payload",
        "invoke.step",
    }


@pytest.mark.parametrize(
    ("contradiction", "expected"),
    [
        ({"once": True, "retry": RetryPolicy()}, "`once` or `retry`"),
        ({"verify": work}, "`verify` with `once`"),
        ({"tx": True, "once": True}, "`tx` without `once`"),
        ({"tx": True, "once": True, "verify": work}, "`tx` without `once`"),
        ({"tx": True, "timeout": timedelta(minutes=40)}, "half the lease"),
    ],
)
def test_options_that_contradict_each_other(contradiction: dict[str, Any], expected: str) -> None:
    for reason in held(lambda ctx: ctx.run("a", work, **contradiction)):
        assert expected in reason or "timeout of at most" in reason


def weigh(article: str, *, grams: int = 1) -> str:
    return f"{article} {grams}"


def test_a_step_takes_keyword_arguments() -> None:
    for give in (
        lambda ctx: ctx.run("a", weigh, "ink", grams=3),
        lambda ctx: ctx.run("a", weigh, article="ink", grams=3, retry=RetryPolicy()),
        lambda ctx: ctx.run("a", weigh, "ink", grams=3, once=True, verify=weigh),
    ):
        for runner in (plain(give), awaiting(give)):
            assert runner.executor.run(runner.claim(), runner.lease) is JobState.SUCCEEDED
            assert runner.job.result == '"ink 3"'


def test_a_branch_takes_keyword_arguments() -> None:
    runner = plain(lambda ctx: ctx.parallel(ctx.branch("a", weigh, "ink", grams=3))[0])

    assert runner.executor.run(runner.claim(), runner.lease) is JobState.SUCCEEDED
    assert runner.job.result == '"ink 3"'


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"retires": RetryPolicy()}, "did you mean 'retry'?"),
        ({"pounds": 3}, "unexpected keyword argument 'pounds'"),
        ({"article": "pen"}, "multiple values for argument 'article'"),
    ],
)
def test_a_keyword_that_neither_the_step_nor_its_function_has(
    named: dict[str, Any], expected: str
) -> None:
    for reason in held(lambda ctx: ctx.run("a", weigh, "ink", **named)):
        assert expected in reason


def test_a_plain_job_cannot_await() -> None:
    runner = plain(lambda ctx: ctx.run("a", awaited))

    assert runner.executor.run(runner.claim(), runner.lease) is JobState.HELD
    assert runner.job.error is not None
    assert "expected a plain function, got an `async def`" in runner.job.error.message


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), "finite numbers"),
        ([float("-inf")], "finite numbers"),
        ({1: "one"}, "annotate what is returned"),
        ({"a": {(1, 2): "pair"}}, "annotate what is returned"),
        ("x" * MAX_RESULT_BYTES, f"at most {MAX_RESULT_BYTES} bytes"),
        (["x"] * MAX_RESULT_BYTES, f"at most {MAX_RESULT_BYTES} bytes"),
        (object(), "fits JSON"),
        ("\ud800", "fits JSON"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_result_that_the_ledger_could_not_keep(value: Any, expected: str) -> None:
    step, result = plain(lambda ctx: ctx.run("a", lambda: value)), plain(lambda ctx: value)

    assert step.executor.run(step.claim(), step.lease) is JobState.HELD
    assert result.executor.run(result.claim(), result.lease) is JobState.HELD
    for runner in (step, result):
        assert runner.job.error is not None
        assert expected in runner.job.error.message


def test_a_result_that_nests_too_deep() -> None:
    value: Any = None
    for _ in range(MAX_DEPTH):
        value = {"inner": value}
    runner = plain(lambda ctx: ctx.run("a", lambda: value))

    assert runner.executor.run(runner.claim(), runner.lease) is JobState.HELD
    assert runner.job.error is not None
    assert f"at most {MAX_DEPTH} deep" in runner.job.error.message


def test_a_job_has_so_many_steps_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("failsoft.job_engine.steps.journal.MAX_STEPS", 3)

    def body(ctx: JobContext) -> None:
        for _ in ctx.batches("rows", range(MAX_STEPS), size=1):
            pass

    runner = plain(body)

    assert runner.executor.run(runner.claim(), runner.lease) is JobState.HELD
    assert runner.job.error is not None
    assert "at most 3 steps" in runner.job.error.message
    assert runner.step_names == ["rows 1", "rows 2", "rows 3"]


@pytest.mark.parametrize(
    "expected",
    [
        *((value,) for value in (*NO_WHOLE_NUMBERS, -1, float("nan"), 2**63)),
        *((1, value) for value in ("5", 5.0, True, -1, 0, 2**63)),
        *((1, 2, value) for value in (*NO_TEXT, "n" * 256, "n\0", "\ud800")),
    ],
    ids=lambda each: f"{len(each)}-{type(each[-1]).__name__}",
)
def test_a_progress_that_makes_no_sense_is_an_error_of_the_job(expected: tuple[Any, ...]) -> None:
    for runner in (
        plain(lambda ctx: ctx.progress(*expected)),
        awaiting(lambda ctx: ctx.progress(*expected)),
    ):
        assert runner.executor.run(runner.claim(), runner.lease) is JobState.SCHEDULED
        assert runner.job.error is not None
        assert runner.job.error.message.startswith("progress: expected")
        assert runner.job.progress is None
