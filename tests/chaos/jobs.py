"""The jobs of the chaos runs: the same for both engines and both kinds of isolation."""

import threading
from datetime import timedelta

from pydantic import BaseModel
from tenacity import wait_fixed

from tests.chaos.witness import BEGIN, END, has_ended, note
from understudy.job_engine import (
    NOT_DONE,
    JobContext,
    QueueProfile,
    RetryPolicy,
    declare_queue,
    job,
)
from understudy.job_engine.doubt import NotDone
from understudy.job_engine.queues import Isolation

LEASE = timedelta(seconds=2)
MAX_ATTEMPTS = 3
PAUSE = timedelta(milliseconds=300)


def _hasty(name: str, isolation: Isolation, slots: int, *, overflow: bool) -> QueueProfile:
    return QueueProfile(
        name,
        isolation=isolation,
        slots=slots,
        dramatiq_threads=slots,
        lease=LEASE,
        pickup=timedelta(seconds=1),
        overflow=overflow,
    )


# Forking is slow on a busy machine: what waits for a child may move to the other engine, or the
# drain of a healed system would last as long as its patience with a backlog.
THREADS = declare_queue(_hasty("chaos-threads", "thread", slots=6, overflow=False))
CHILDREN = declare_queue(_hasty("chaos-children", "process", slots=3, overflow=True))


class ScriptedError(Exception):
    """What a deed raises because its script says so."""


class Deed(BaseModel):
    """What a job does.

    Attributes:
        label: Who asked for it; no two requests share one, but for those of one key.
        paces: How many seconds each step takes; there are as many steps.
        sleep_after: The step after which the job sleeps; 0: none.
        fails_at: The step that raises; 0: none.
        failures: In how many attempts it raises.
        once_at: The step that is to begin at most once, ever; 0: none.
        verified: Whether such a step finds out what happened where it is in doubt.
    """

    label: str
    paces: list[float]
    sleep_after: int = 0
    fails_at: int = 0
    failures: int = 0
    once_at: int = 0
    verified: bool = False

    @property
    def step_names(self) -> list[str]:
        """Return the steps in their order, sleeps left out."""
        return [f"step-{number}" for number in range(1, len(self.paces) + 1)]

    @property
    def in_doubt(self) -> str | None:
        """Return the step that nobody may begin twice and nobody can find out about."""
        return f"step-{self.once_at}" if self.once_at and not self.verified else None


def perform(deed: Deed, ctx: JobContext) -> int:
    """Run the steps and return how many there are."""
    for number, name in enumerate(deed.step_names, 1):
        once = number == deed.once_at
        verify = _verified if once and deed.verified else None
        ctx.run(name, _step, deed, number, ctx.job_id, ctx.attempt, once=once, verify=verify)
        if number == deed.sleep_after:
            ctx.sleep("pause", PAUSE)
    return len(deed.paces)


def _step(deed: Deed, number: int, job_id: str, attempt: int) -> int:
    name = f"step-{number}"
    note(BEGIN, job_id, name, attempt)
    threading.Event().wait(deed.paces[number - 1])
    if number == deed.fails_at and attempt <= deed.failures:
        raise ScriptedError(name)
    note(END, job_id, name, attempt)
    return number


def _verified(_: Deed, number: int, job_id: str, __: int) -> int | NotDone:
    """Find out from the witness whether the step took effect."""
    return number if has_ended(job_id, f"step-{number}") else NOT_DONE


RETRY = RetryPolicy(max_attempts=MAX_ATTEMPTS, wait=wait_fixed(0.3))
in_thread = job(name="chaos-in-thread", queue="chaos-threads", retry=RETRY)(perform)
in_child = job(name="chaos-in-child", queue="chaos-children", retry=RETRY)(perform)
JOBS = (in_thread, in_child)
