"""Jobs that end, fork, leave something behind and change what their process shares."""

import asyncio
import contextlib
import ctypes
import decimal
import gc
import locale
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
import warnings
from asyncio import CancelledError
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, field_serializer

from failsoft.dispatcher import dispatch_job
from failsoft.job_engine import (
    AsyncJobContext,
    JobContext,
    JobDefinition,
    QueueProfile,
    RetryPolicy,
    declare_queue,
    job,
)

#: Long enough that no lease which runs out brings a slot back.
LONG = timedelta(minutes=20)
SLOTS = 4

THREADS = declare_queue(
    QueueProfile(
        "processes-threads",
        isolation="thread",
        slots=SLOTS,
        lease=LONG,
        timeout=LONG,
    )
)
CHILDREN = declare_queue(
    QueueProfile(
        "processes-children",
        isolation="process",
        slots=2,
        lease=LONG,
        timeout=LONG,
    )
)
QUEUES = (THREADS, CHILDREN)
ONCE = RetryPolicy(max_attempts=1)


class UnprintableError(Exception):
    """An error that cannot be shown."""

    def __str__(self) -> str:
        raise SystemExit


def _group() -> BaseException:
    return BaseExceptionGroup("several", [SystemExit(), ValueError()])


#: Everything that job code may raise, by name.
KINDS: dict[str, Callable[[], BaseException]] = {
    "StopIteration": StopIteration,
    "StopAsyncIteration": StopAsyncIteration,
    "CancelledError": CancelledError,
    "SystemExit": SystemExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "BaseExceptionGroup": _group,
    "RecursionError": RecursionError,
    "UnprintableError": UnprintableError,
    "ValueError": ValueError,
}


class Ending(BaseModel):
    """What is raised, and where."""

    kind: str
    place: str


class Unwritable(BaseModel):
    """A result that raises when it is written."""

    kind: str

    @field_serializer("kind")
    def _write(self, kind: str) -> str:
        raise KINDS[kind]()  # noqa: RSE102 - one of them is a function


def fails(kind: str) -> None:
    raise KINDS[kind]()  # noqa: RSE102 - one of them is a function


async def fails_awaited(kind: str) -> None:
    raise KINDS[kind]()  # noqa: RSE102 - one of them is a function


def _wait(kind: str, state: object) -> float:
    raise KINDS[kind]()  # noqa: RSE102 - one of them is a function


def _plain(payload: Ending, ctx: JobContext) -> Any:
    kind = payload.kind
    match payload.place:
        case "step":
            ctx.run("s", fails, kind)
        case "branch":
            ctx.parallel(ctx.branch("s", fails, kind), ctx.branch("t", len, "x"))
        case "once":
            ctx.run("s", fails, kind, once=True)
        case "verify":
            with contextlib.suppress(BaseException):
                ctx.run("s", fails, "ValueError", once=True, verify=lambda kind: 1)
            ctx.run("s", fails, kind, once=True, verify=fails)
        case "tx":
            ctx.run("s", lambda connection: fails(kind), tx=True)
        case "policy":
            ctx.run("s", fails, "ValueError", retry=RetryPolicy(wait=partial(_wait, kind)))
        case "result":
            return Unwritable(kind=kind)
        case _:
            fails(kind)
    return None


async def _awaited(payload: Ending, ctx: AsyncJobContext) -> Any:  # noqa: C901, PLR0912 - a table
    kind = payload.kind
    match payload.place:
        case "step":
            await ctx.run("s", fails, kind)
        case "awaited step":
            await ctx.run("s", fails_awaited, kind)
        case "branch":
            await ctx.parallel(ctx.branch("s", fails, kind), ctx.branch("t", len, "x"))
        case "once":
            await ctx.run("s", fails_awaited, kind, once=True)
        case "verify":
            with contextlib.suppress(BaseException):
                await ctx.run("s", fails, "ValueError", once=True, verify=lambda kind: 1)
            await ctx.run("s", fails, kind, once=True, verify=fails)
        case "tx":
            await ctx.run("s", lambda connection: fails(kind), tx=True)
        case "policy":
            await ctx.run("s", fails, "ValueError", retry=RetryPolicy(wait=partial(_wait, kind)))
        case "task":
            await asyncio.create_task(fails_awaited(kind))
        case "result":
            return Unwritable(kind=kind)
        case _:
            fails(kind)
    return None


#: Where each may be raised.
PLACES = ("job", "step", "branch", "once", "verify", "tx", "policy", "result")
ASYNC_PLACES = (*PLACES, "awaited step", "task")


class WaitSteps(BaseModel):
    """As many jobs as there are slots, which wait for each other."""

    folder: Path
    number: int
    of: int


def _meet(payload: WaitSteps, ctx: JobContext) -> None:
    (payload.folder / str(payload.number)).touch()
    ends = time.monotonic() + 60
    while len(list(payload.folder.iterdir())) < payload.of:
        if time.monotonic() > ends:
            raise TimeoutError("not every slot is there")
        time.sleep(0.02)


class Forking(BaseModel):
    """Where the fork is made, and how its child goes on."""

    where: str
    how: str


def _fork(how: str, ctx: Any) -> int:
    """Fork, and return the exit status of the child, which comes out of here as the job says."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    match how:
        case "raise":
            raise RuntimeError("in the child")
        case "exit":
            sys.exit(7)
        case "swallow":
            with contextlib.suppress(BaseException):
                ctx.run("of the child", len, "x")
    return -1


async def _fork_awaited(how: str, ctx: Any) -> int:
    status = _fork(how, ctx)
    if how == "suspend" and status == -1:
        await asyncio.sleep(3600)
    return status


def _forking(payload: Forking, ctx: JobContext) -> int:
    match payload.where:
        case "step":
            return ctx.run("s", _fork, payload.how, ctx)
        case "branch":
            return ctx.parallel(ctx.branch("s", _fork, payload.how, ctx), ctx.branch("t", int, 0))[
                0
            ]
        case _:
            return _fork(payload.how, ctx)


async def _forking_async(payload: Forking, ctx: AsyncJobContext) -> int:
    match payload.where:
        case "step":
            return await ctx.run("s", _fork, payload.how, ctx)
        case "awaited step":
            return await ctx.run("s", _fork_awaited, payload.how, ctx)
        case "thread":
            return await asyncio.to_thread(_fork, payload.how, ctx)
        case _:
            return await _fork_awaited(payload.how, ctx)


class Leaving(BaseModel):
    """What is left behind, and the file that says who."""

    what: str
    noted: Path


def _sleep_long() -> None:
    time.sleep(1200)


def _leave(payload: Leaving, ctx: JobContext) -> None:
    """Leave something behind that goes on for long, and note the process that does."""
    pid = os.getpid()
    match payload.what:
        case "thread":
            threading.Thread(target=_sleep_long).start()
        case "executor":
            ThreadPoolExecutor(1).submit(_sleep_long)
        case "process":
            process = multiprocessing.get_context("fork").Process(target=_sleep_long)
            process.start()
            pid = process.pid or 0
        case "fork":
            if not (pid := os.fork()):
                _sleep_long()
                os._exit(0)
    payload.noted.write_text(str(pid))


class Nothing(BaseModel):
    """An empty payload."""


def _terminate(payload: Nothing, ctx: JobContext) -> int | None:
    """Terminate a child as `multiprocessing` does."""
    process = multiprocessing.get_context("fork").Process(target=_sleep_long)
    process.start()
    process.terminate()
    process.join()
    return process.exitcode


TENANT: ContextVar[str] = ContextVar("TENANT", default="nobody's")


def _state() -> dict[str, str]:
    mask = os.umask(0o77)
    os.umask(mask)
    return {
        "tenant": TENANT.get(),
        "precision": str(decimal.getcontext().prec),
        "folder": str(Path.cwd()),
        "umask": oct(mask),
        "signals": str(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))),
        "alarm": str(signal.getitimer(signal.ITIMER_REAL)[0] > 0),
        "locale": locale.setlocale(locale.LC_ALL),
        "warnings": str(warnings.filters[0]),
        "timeout": str(socket.getdefaulttimeout()),
        "recursion": str(sys.getrecursionlimit()),
        "collects": str(gc.isenabled()),
    }


def _change() -> None:
    TENANT.set("acme")
    decimal.getcontext().prec = 5
    os.chdir("/")
    os.umask(0)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    signal.alarm(1000)
    locale.setlocale(locale.LC_ALL, "C.UTF-8" if locale.setlocale(locale.LC_ALL) == "C" else "C")
    warnings.simplefilter("error")
    socket.setdefaulttimeout(0.001)
    sys.setrecursionlimit(sys.getrecursionlimit() + 50)
    gc.disable()


def _look_and_change(payload: Nothing, ctx: JobContext) -> dict[str, str]:
    """Return what the job found, and change all of it."""
    found = _state()
    _change()
    return found


async def _look_and_change_async(payload: Nothing, ctx: AsyncJobContext) -> dict[str, str]:
    found = _state()
    _change()
    return found


def _dispatch(payload: Nothing, ctx: JobContext) -> str:
    """Dispatch a job from another folder than the worker's."""
    os.chdir("/")
    return dispatch_job(DEFINED["change", ctx.queue], Nothing()).id


class Gate(BaseModel):
    """A job that makes steps until a file is there; another says that it has begun."""

    begun: Path
    gate: Path


async def _steps_until(payload: Gate, ctx: AsyncJobContext) -> None:
    payload.begun.touch()
    number = 0
    while not payload.gate.exists():
        await ctx.run(f"step-{number}", time.sleep, 0.05)
        number += 1


def _end_consumers(payload: Nothing, ctx: JobContext) -> None:
    """End the threads that take messages from Dramatiq's broker in this process."""
    for thread in threading.enumerate():
        if type(thread).__name__.endswith("ConsumerThread"):
            ident = ctypes.c_ulong(thread.ident or 0)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(SystemExit))


_HANDLERS: dict[str, Callable[..., Any]] = {
    "end": _plain,
    "end-async": _awaited,
    "meet": _meet,
    "fork": _forking,
    "fork-async": _forking_async,
    "leave": _leave,
    "terminate": _terminate,
    "change": _look_and_change,
    "change-async": _look_and_change_async,
    "dispatch": _dispatch,
    "steps-until": _steps_until,
    "end-consumers": _end_consumers,
}

#: Each of them, by its word and its queue.
DEFINED: dict[tuple[str, str], JobDefinition[Any, Any]] = {
    (word, queue.name): job(name=f"{word}-{queue.name}", queue=queue.name, retry=ONCE)(handler)
    for word, handler in _HANDLERS.items()
    for queue in QUEUES
}
globals().update({each.name.replace("-", "_"): each for each in DEFINED.values()})
