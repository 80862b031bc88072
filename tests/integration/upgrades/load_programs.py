"""Programs of this release that go on dispatching, claiming and ending jobs."""

import threading
from time import monotonic
from types import TracebackType
from typing import Self

from failsoft.job_engine.records.states import JobState
from failsoft.ledger import Database, SqlLedger, check
from failsoft.testing.ledger_suite.fixtures import SUCCESS, claimed, new_job, plan


class Load:
    """Threads that each record a job, claim it and end it, again and again.

    Attributes:
        accepted: The ids of the jobs that were recorded.
        errors: What any of it raised.
        longest: How long the longest dispatch took, in seconds.
    """

    def __init__(self, database: Database, threads: int = 2, pause: float = 0.005) -> None:
        self.accepted: list[str] = []
        self.errors: list[BaseException] = []
        self.longest = 0.0
        self._database = database
        self._pause = pause
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._go_on) for _ in range(threads)]

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        for each in self._threads:
            each.join()

    def _go_on(self) -> None:
        while not self._is_over.is_set():
            try:
                self._live()
            except Exception as error:  # noqa: BLE001 - the test shows them all
                self.errors.append(error)
                return

    def _live(self) -> None:
        """Do what a program does when it starts, and some work."""
        check(self._database)
        for _ in range(20):
            self._one_job(SqlLedger(self._database))
            self._is_over.wait(self._pause)

    def _one_job(self, ledger: SqlLedger) -> None:
        began = monotonic()
        job, is_new = ledger.record_job(new_job(), plan())
        self.longest = max(self.longest, monotonic() - began)
        assert is_new
        self.accepted.append(job.id)
        assert ledger.conclude(claimed(ledger, job), SUCCESS) is JobState.SUCCEEDED
