"""What the kit needs of a Failsoft that it drives."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from failsoft.job_engine.clock import Clock
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.telemetry import Event
from failsoft.testkit.assembly import KitDispatcher
from failsoft.testkit.catalogue import KitCatalogue
from failsoft.testkit.results import Attempt, Failure
from failsoft.testkit.traps import Trap

#: More jobs than a test has.
ALL_JOBS = 1_000_000
#: The states in which a job is unfinished.
UNFINISHED = (JobState.SCHEDULED, JobState.OFFERED, JobState.RUNNING)


class TravelClock(Clock, Protocol):
    """A clock that a test moves."""

    def advance(self, span: timedelta) -> None:
        """Let time pass at once."""
        ...


class World(Protocol):
    """A Failsoft for one test."""

    @property
    def engines(self) -> Sequence[str]:
        """The engines, in order of preference."""
        ...

    @property
    def ledger(self) -> Ledger:
        """The ledger."""
        ...

    @property
    def ledger_url(self) -> str | None:
        """The URL of the ledger's database; None where it is in memory."""
        ...

    @property
    def dispatcher(self) -> KitDispatcher:
        """What dispatches on it."""
        ...

    @property
    def catalogue(self) -> KitCatalogue:
        """The jobs of the test."""
        ...

    @property
    def events(self) -> Sequence[Event]:
        """What the parts in this process emitted."""
        ...

    def now(self) -> datetime:
        """Return the ledger's time."""
        ...

    def bodies(self, job_id: str) -> Sequence[tuple[int, str]]:
        """Return the steps of a job whose bodies returned: pairs of epoch and name."""
        ...

    def schedule(self, names: Iterable[str]) -> None:
        """Fire the schedules of registered jobs."""
        ...

    def run(self, queue: str | None, most: int) -> tuple[Sequence[Attempt], int]:
        """Run what is due, of a queue or of all; return the attempts and how many were stale."""
        ...

    def error_of(self, job_id: str) -> BaseException | None:
        """Return what the handler of a job raised last, if it is known here."""
        ...

    def step_of(self, job_id: str) -> str | None:
        """Return the step in which the last attempt of a job was."""
        ...

    def use_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Run the coroutines of `async def` handlers in a loop of the test."""
        ...

    def pass_time(self, span: timedelta) -> None:
        """Let time pass, with all that happens in it but attempts."""
        ...

    def fail_engine(self, name: str, how: Failure, times: int | None) -> None:
        """Break an engine."""
        ...

    def heal_engine(self, name: str) -> None:
        """Repair an engine, and start its workers again."""
        ...

    def stop_workers(self, engine: str, queue: str | None) -> None:
        """Stop the workers of an engine."""
        ...

    def wipe_engine(self, name: str) -> None:
        """Let an engine lose its messages."""
        ...

    def redeliver(self, job_id: str) -> None:
        """Deliver the newest message of a job again."""
        ...

    def set_trap(self, trap: Trap) -> None:
        """Let something befall the next attempt that comes to a step."""
        ...

    def lose_lease(self, job_id: str) -> None:
        """Take a job away from the attempt that runs it, or from the next one."""
        ...

    def ledger_down(self, during: str | None, times: int) -> None:
        """Let the ledger be away."""
        ...

    def crash_at(self, point: str) -> None:
        """Let the process die that comes to a crash point next."""
        ...

    def close(self) -> None:
        """End it, and let go of what it holds."""
        ...
