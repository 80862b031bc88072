"""What the options of steps must be: a job that uses its steps wrongly is held."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from failsoft.job_engine.policies.retry import RetryPolicy
from failsoft.job_engine.steps.journal import refusal, refuse
from failsoft.job_engine.steps.parallel import Branch
from failsoft.job_engine.steps.runner import StepPolicy
from failsoft.job_engine.steps.tx import check_transaction
from failsoft.job_engine.validation import LONGEST, Expect, did_you_mean
from failsoft.job_engine.values.annotations import is_async

#: The keywords of `ctx.run` that are none of its function's.
STEP_OPTIONS = ("retry", "timeout", "once", "verify", "tx")

#: The most branches that run at the same time, and the largest batch.
MOST_AT_ONCE = 1_000
MOST_IN_A_BATCH = 1_000_000


def expecting(where: str) -> Expect:
    """Return what holds a job that does something else; `where` begins its message."""
    return Expect(refusal, f"{where}: ")


def check_step(
    name: str, fn: object, policy: StepPolicy, *, lease: timedelta, longest: timedelta | None
) -> None:
    """Hold a job with a step that contradicts itself.

    Args:
        name: The step.
        fn: What it calls.
        policy: How it is performed.
        lease: The lease of the attempt.
        longest: The longest that the attempt may take.
    """
    step = expecting(f"step {name!r}")
    step.callable("a function to call", fn)
    step.flag("once", policy.once)
    step.flag("tx", policy.tx)
    if policy.retry is not None:
        step.a(RetryPolicy, "a RetryPolicy", policy.retry, "write RetryPolicy(max_attempts=...)")
        step.that(not policy.once, "`once` or `retry`", "both")
    if policy.verify is not None:
        step.callable("a function to verify with", policy.verify)
        step.that(policy.once, "`verify` with `once`", "it alone")
    if policy.timeout is not None:
        step.span("a timeout", policy.timeout)
        todo = "which is the attempt's; give the job a longer one"
        most = longest or LONGEST
        step.value(policy.timeout <= most, f"a timeout of at most {most}", policy.timeout, todo)
    check_transaction(name, policy, lease)


def check_named(name: str, fn: object, args: Sequence[object], named: Mapping[str, object]) -> None:
    """Hold a job with keyword arguments that its step's function does not take.

    Args:
        name: The step.
        fn: What it calls.
        args: Its arguments by their places.
        named: Those by name.
    """
    if not callable(fn):
        return
    try:
        inspect.signature(fn).bind(*args, **named)
    except TypeError as error:
        meant = next(filter(None, (did_you_mean(each, STEP_OPTIONS) for each in named)), "")
        raise refusal(
            f"step {name!r}: expected arguments of {getattr(fn, '__name__', fn)!r} or options of a "
            f"step ({', '.join(STEP_OPTIONS)}), got {', '.join(named)}: {error}{meant}"
        ) from None
    except ValueError:
        return  # built in, and does not say what it takes


def check_plain(name: str, fn: Callable[..., Any]) -> None:
    """Hold a plain job with a step that would have to be awaited."""
    if is_async(fn):
        refuse(
            f"step {name!r}: expected a plain function, got an `async def`; make the job an "
            "`async def`, too"
        )


def check_branches(branches: Sequence[Branch[Any]], at_once: int) -> None:
    """Hold a job whose branches cannot run side by side."""
    step = expecting("parallel")
    step.that(branches, "at least one branch", "none")
    step.whole("at_once", at_once, least=1, most=MOST_AT_ONCE)
    for branch in branches:
        step.a(Branch, "branches", branch, "make each with ctx.branch(name, fn, ...)")
    names = [branch.name for branch in branches]
    twice = sorted({name for name in names if names.count(name) > 1})
    step.that(not twice, "a name of its own for each branch", f"{twice[:1]} twice")


def check_batches(name: str, items: object, size: int) -> None:
    """Hold a job with a loop over nothing, or with batches that would have no size."""
    loop = expecting(f"batches {name!r}")
    loop.a(Iterable, "items to go through", items)
    loop.whole("a size", size, least=1, most=MOST_IN_A_BATCH)


def check_sleep(name: str, span: object, moment: object) -> None:
    """Hold a job that would sleep for ever, or backwards."""
    sleep = expecting(f"sleep {name!r}")
    sleep.span("a span", span, zero=True)
    if moment is not None:
        sleep.moment("a moment", moment)


def check_invoked(job: object) -> None:
    """Hold a job that invokes what is no job."""
    todo = "decorate the function with @job(), or declare_job(...) it"
    expecting("invoke").value(hasattr(job, "payload_type"), "a job", job, todo)
