"""What has changed in the ledger, looked up once for every open page of the process."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress

from starlette.concurrency import run_in_threadpool

from failsoft.console.environment import Ledger
from failsoft.dispatcher.fleet import FRESH
from failsoft.job_engine.errors import FailsoftError, NotFoundError

#: The pause between two looks.
EVERY_SECONDS = 1.0
#: So many jobs are looked at in each; the pages of others ask by themselves.
MOST_JOBS = 50
OVERVIEW = "overview"
_JOB = "job:"


class Poller:
    """Looks while a page is open, and only then; for one event loop.

    Attributes:
        versions: By topic, `overview` or `job:ID`: what distinguishes its state from that before.
    """

    def __init__(self, ledger: Callable[[], Ledger]) -> None:
        self._ledger = ledger
        self._topics: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.versions: Mapping[str, str] = {}

    @property
    def streams(self) -> int:
        """How many pages are open."""
        return self._topics.get(OVERVIEW, 0)

    def join(self, topics: frozenset[str]) -> None:
        """Look at these topics, too."""
        for topic in topics | {OVERVIEW}:
            self._topics[topic] = self._topics.get(topic, 0) + 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def leave(self, topics: frozenset[str]) -> None:
        """Look at them no more, unless another page does."""
        for topic in topics | {OVERVIEW}:
            self._topics[topic] -= 1
            if not self._topics[topic]:
                del self._topics[topic]

    async def change(self, seconds: float) -> None:
        """Wait until something has changed, or so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    async def _run(self) -> None:
        while self._topics:
            topics = frozenset(self._topics)
            versions = await run_in_threadpool(self._look, topics)
            if versions != self.versions:
                self.versions = versions
                changed, self._changed = self._changed, asyncio.Event()
                changed.set()
            await asyncio.sleep(EVERY_SECONDS)

    def _look(self, topics: frozenset[str]) -> Mapping[str, str]:
        try:
            ledger = self._ledger()
            found = {OVERVIEW: _digest(*_overview(ledger))}
            jobs = sorted(topic for topic in topics if topic.startswith(_JOB))[:MOST_JOBS]
            return found | {topic: _job(ledger, topic.removeprefix(_JOB)) for topic in jobs}
        except FailsoftError as error:
            # That the ledger is away is news, too.
            return dict.fromkeys(topics | {OVERVIEW}, _digest(type(error)))


def _overview(ledger: Ledger) -> tuple[object, ...]:
    workers = [(each.boot_id, each.info) for each in ledger.live_workers()]
    notices, audits = ledger.notices(limit=1).items, ledger.audits(limit=1).items
    breakers = [(each.boot_id, each.engine) for each in ledger.breakers(FRESH)]
    return ledger.tally(), workers, notices, audits, breakers, ledger.pauses()


def _job(ledger: Ledger, job_id: str) -> str:
    try:
        job = ledger.get(job_id)
        return _digest(job, len(ledger.steps(job_id)), len(ledger.tries(job_id)))
    except NotFoundError:
        return _digest(None)


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode(errors="replace")).hexdigest()[:16]
