"""The handlers that carry out a script, a plain one and an `async` one."""

from datetime import timedelta

from failsoft.job_engine import AsyncJobContext, JobContext, JobFailure, declare_job
from failsoft.job_engine.errors import JobCancelledError, JobFailedError
from tests.chaos.workload.queues import RETRY, THREADS
from tests.chaos.workload.script import Action, Does, Script, step_name
from tests.chaos.workload.steps import Steps

PAUSE = timedelta(milliseconds=300)
SLEEP = "pause"
#: The name of the events, the steps that wait for them, and how long they do.
EVENT = "news"
WAITS = ("news-1", "news-2")
WAIT = timedelta(seconds=5)
#: What a step met that waited in vain, and what a child came to that has no result.
NOTHING, FAILED, CANCELLED = "nothing", "failed", "cancelled"

#: What failures set off, and what scripts invoke; `workload/definitions.py` gives them handlers.
HOOK = declare_job("chaos-hook", payload=JobFailure, result=int, queue=THREADS.name, retry=RETRY)
INVOKED = declare_job(
    "chaos-invoked", payload=Script, result=int, queue=THREADS.name, retry=RETRY, on_failure=HOOK
)


def perform(script: Script, ctx: JobContext) -> int:
    """Do everything, and return how many steps there are."""
    steps = Steps(script, ctx.job_id, ctx.attempt)
    for action in script.actions():
        _do(action, steps, ctx)
    return len(script.paces)


async def perform_async(script: Script, ctx: AsyncJobContext) -> int:
    """Do everything, awaited."""
    steps = Steps(script, ctx.job_id, ctx.attempt)
    for action in script.actions():
        await _do_async(action, steps, ctx)
    return len(script.paces)


def _do(action: Action, steps: Steps, ctx: JobContext) -> None:
    match action.does:
        case Does.SLEEP:
            ctx.sleep(SLEEP, PAUSE)
        case Does.WAIT:
            for step in WAITS:
                found = ctx.wait_for_event(EVENT, str, key=_key(steps), timeout=WAIT, step=step)
                steps.met(step, found or NOTHING)
        case Does.INVOKE:
            steps.met(INVOKED.name, _invoke(steps, ctx))
        case Does.BESIDE:
            ctx.parallel(*(ctx.branch(step_name(n), steps.run, n) for n in action.numbers))
        case _:
            _run(action, steps, ctx)


def _run(action: Action, steps: Steps, ctx: JobContext) -> None:
    [number] = action.numbers
    match action.does:
        case Does.TX:
            ctx.run(step_name(number), steps.write, number, tx=True)
        case Does.ONCE:
            verify = steps.verified if steps.script.verified else None
            ctx.run(step_name(number), steps.run, number, once=True, verify=verify)
        case _:
            ctx.run(step_name(number), steps.run, number)


def _invoke(steps: Steps, ctx: JobContext) -> str:
    try:
        result = ctx.invoke(INVOKED, _child(steps))
    except JobFailedError:
        return FAILED
    except JobCancelledError:
        return CANCELLED
    return str(result)


async def _do_async(action: Action, steps: Steps, ctx: AsyncJobContext) -> None:
    match action.does:
        case Does.SLEEP:
            await ctx.sleep(SLEEP, PAUSE)
        case Does.WAIT:
            for step in WAITS:
                key = _key(steps)
                found = await ctx.wait_for_event(EVENT, str, key=key, timeout=WAIT, step=step)
                steps.met(step, found or NOTHING)
        case Does.INVOKE:
            steps.met(INVOKED.name, await _invoke_async(steps, ctx))
        case Does.BESIDE:
            await ctx.parallel(*(ctx.branch(step_name(n), steps.run, n) for n in action.numbers))
        case _:
            await _run_async(action, steps, ctx)


async def _run_async(action: Action, steps: Steps, ctx: AsyncJobContext) -> None:
    [number] = action.numbers
    match action.does:
        case Does.TX:
            await ctx.run(step_name(number), steps.write, number, tx=True)
        case Does.ONCE:
            verify = steps.verified if steps.script.verified else None
            await ctx.run(step_name(number), steps.run, number, once=True, verify=verify)
        case _:
            await ctx.run(step_name(number), steps.run, number)


async def _invoke_async(steps: Steps, ctx: AsyncJobContext) -> str:
    try:
        result = await ctx.invoke(INVOKED, _child(steps))
    except JobFailedError:
        return FAILED
    except JobCancelledError:
        return CANCELLED
    return str(result)


def _key(steps: Steps) -> str | None:
    return steps.script.label if steps.script.by_key else None


def _child(steps: Steps) -> Script:
    assert steps.script.child is not None
    return steps.script.child
