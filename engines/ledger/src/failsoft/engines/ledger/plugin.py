"""The engine `ledger`, plugged in."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from failsoft.engine_api import (
    DEFAULT,
    BoundedCaller,
    Check,
    Deadline,
    Engine,
    EnginePlugin,
    EngineSite,
    EngineWorker,
    Finding,
    SystemClock,
    WorkerPost,
    fine,
    unreachable,
)
from failsoft.engines.ledger.adapter import LedgerEngine, LedgerSettings
from failsoft.engines.ledger.worker import LedgerWorker

#: How many calls of one process may be under way at once.
CALLER_THREADS = 8
#: How long a look of `doctor` may take.
LOOK = timedelta(seconds=1)


class LedgerPlugin(EnginePlugin[LedgerSettings]):
    """The ledger, from which workers take offers themselves."""

    kind = "ledger"
    title = "the ledger itself, no broker"
    settings = LedgerSettings

    def build(self, site: EngineSite[LedgerSettings]) -> Engine:
        """Return the half that offers."""
        return Engine(LedgerEngine(site), BoundedCaller(site.name, threads=CALLER_THREADS))

    def build_worker(self, site: EngineSite[LedgerSettings], post: WorkerPost) -> EngineWorker:
        """Return a worker that takes the queue's offers."""
        return LedgerWorker(site, post)

    def checks(self, site: EngineSite[LedgerSettings]) -> Iterable[Check]:
        """Write to the ledger, and count what waits in the default queue."""
        remedy = "see what the check `ledger` found"
        yield Check(f"{site.name} engine", lambda: _look(site, remedy), remedy)


def _look(site: EngineSite[LedgerSettings], remedy: str) -> Iterator[Finding]:
    health = LedgerEngine(site).probe(DEFAULT, Deadline.after(SystemClock(), LOOK))
    if health.healthy:
        yield fine(
            f"{site.name} engine", f"{health.detail}, {health.backlog} wait in {DEFAULT.name}"
        )
    else:
        yield unreachable(f"{site.name} engine", health.detail, remedy)


PLUGIN = LedgerPlugin()
