"""The jobs that the acceptance tests run in real workers; every step writes to the effect log.

The same module serves both engines and both kinds of isolation, unchanged.
"""

import ctypes
import os
import signal
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel

from failsoft.job_engine import (
    NOT_DONE,
    JobContext,
    NotDone,
    QueueProfile,
    RetryPolicy,
    declare_queue,
    job,
)
from failsoft.job_engine.policies.queue import Isolation
from tests.deployments.effect_log import BEGUN, ENDED, note
from tests.servers.processes import wait_until


def _hasty(name: str, isolation: Isolation, slots: int) -> QueueProfile:
    return QueueProfile(
        name,
        isolation=isolation,
        slots=slots,
        lease=timedelta(seconds=10),
        pickup=timedelta(seconds=2),
    )


#: Attempts in threads, in children, and one at a time.
THREADS = declare_queue(_hasty("threads", "thread", slots=8))
CHILDREN = declare_queue(_hasty("children", "process", slots=4))
NARROW = declare_queue(_hasty("narrow", "thread", slots=1))

#: Longer than any test waits.
FOR_EVER = 1000

Misfortune = Literal["none", "sigkill", "segfault", "stuck in C", "stuck in Python"]


class Script(BaseModel):
    """What a job does.

    Attributes:
        steps: How many steps it has, `step-1`, `step-2` and so on.
        halt_at: The step that waits for the gate, in the first attempt only.
        gate: A file; the halt is over when it is there.
        pace: How many seconds each step takes.
        misfortune: What befalls it in its first step, in every attempt.
        once: Whether its steps are begun once at the most.
        nap: How many seconds it sleeps after its first step.
        found: What is found out of a `once` step that was cut off: nothing can be where empty.
    """

    steps: int = 1
    halt_at: int = 0
    gate: str = ""
    pace: float = 0
    misfortune: Misfortune = "none"
    once: bool = False
    nap: float = 0
    found: Literal["", "done", "not done"] = ""


def perform(script: Script, ctx: JobContext) -> int:
    """Run the steps and return how many there are."""
    for number in range(1, script.steps + 1):
        arguments = script, number, ctx.job_id, ctx.attempt
        ctx.run(
            f"step-{number}",
            step,
            *arguments,
            once=script.once,
            verify=find_out if script.found else None,
        )
        if script.nap and number == 1:
            ctx.sleep("nap", timedelta(seconds=script.nap))
    return script.steps


def find_out(script: Script, number: int, job_id: str, attempt: int) -> int | NotDone:
    """Return whether a step took effect."""
    return number if script.found == "done" else NOT_DONE


def step(script: Script, number: int, job_id: str, attempt: int) -> int:
    """Do one step, between two lines for the effect log."""
    name = f"step-{number}"
    note(BEGUN, job_id, name, attempt)
    MISFORTUNES[script.misfortune]()
    if number == script.halt_at and attempt == 1:
        wait_until(Path(script.gate).exists, FOR_EVER, f"gate {script.gate}")
    threading.Event().wait(script.pace)
    note(ENDED, job_id, name, attempt)
    return number


def _nothing() -> None:
    pass


def _sigkill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _segfault() -> None:
    ctypes.string_at(0)


def _stuck_in_c() -> None:
    # PyDLL keeps the GIL, so no thread of this process can do anything about it.
    ctypes.PyDLL(None).sleep(FOR_EVER)


def _stuck_in_python() -> None:
    wait_until(lambda: False, FOR_EVER, "the end of the world")


MISFORTUNES: Mapping[Misfortune, Callable[[], None]] = MappingProxyType(
    {
        "none": _nothing,
        "sigkill": _sigkill,
        "segfault": _segfault,
        "stuck in C": _stuck_in_c,
        "stuck in Python": _stuck_in_python,
    }
)

in_thread = job(name="in-thread", queue="threads")(perform)
in_child = job(name="in-child", queue="children")(perform)
one_by_one = job(name="one-by-one", queue="narrow")(perform)

ONCE = RetryPolicy(max_attempts=1)
A_SECOND = timedelta(seconds=1)
brief_in_thread = job(name="brief-in-thread", queue="threads", retry=ONCE, timeout=A_SECOND)(
    perform
)
brief_in_child = job(name="brief-in-child", queue="children", retry=ONCE, timeout=A_SECOND)(perform)
