"""The child process of one attempt."""

import os
import signal
import traceback
from contextlib import suppress
from contextvars import Context
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, NoReturn

from failsoft.job_engine.attempt.interrupts import Released
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.attempt.own_process import flush_standard_streams
from failsoft.job_engine.clock import SystemClock
from failsoft.job_engine.errors import LedgerError
from failsoft.job_engine.executor import Executor
from failsoft.job_engine.measuring import Measures
from failsoft.job_engine.records.job import Claim, Conclusion
from failsoft.ledger import SqlLedger
from failsoft.worker.attempts.child_report import ChildReport
from failsoft.worker.attempts.thread_interrupt import interrupt_thread
from failsoft.worker.bundled_jobs import load_catalogue
from failsoft.worker.configuration.settings import Settings, adopt
from failsoft.worker.exit_codes import FAILURE, OK
from failsoft.worker.logs.output import bound_to, configure_logs, flush_logs, log_event
from failsoft.worker.processes.forks import guard_forks
from failsoft.worker.processes.garbage import keep_what_is_loaded
from failsoft.worker.processes.parent_death import die_with_parent
from failsoft.worker.tracing import flush_traces, trace_if_wanted
from failsoft.worker.wiring import ALONE, open_database


class _ReportedLease(Lease):
    """The lease of the attempt, whose end the parent learns before the ledger does."""

    def __init__(self, report: ChildReport) -> None:
        # Only steps whose own time is up are interrupted here; for the rest the parent kills.
        super().__init__(interrupt_thread)
        self._report = report

    def end(self) -> None:
        """Take the job's code for over, and report it."""
        self._report.ending()
        super().end()


def run_attempt(
    claim: dict[str, Any], parent: "Connection[Any, Any]", settings: Settings
) -> NoReturn:
    """Run one claimed attempt and exit; the parent renews its lease and may kill it.

    The exit status is 0 once the end of the attempt is recorded, or it was fenced. Threads and
    processes that the job left behind are not waited for, so that the slot is free again.

    Args:
        claim: The authority of the attempt.
        parent: Receives the reports of `ChildReport`.
        settings: Those of the worker, as it read them.
    """
    status = FAILURE
    try:
        # A new context: a job does not see what its module set when it was imported.
        Context().run(_run, Claim(**claim), ChildReport(parent), settings)
        status = OK
    except BaseException:  # noqa: BLE001 - this process ends here in any case
        traceback.print_exc()
    finally:
        flush_traces()
        flush_logs()
        flush_standard_streams()
        os._exit(status)


def _run(mine: Claim, report: ChildReport, settings: Settings) -> None:
    die_with_parent()
    os.setpgid(0, 0)
    lease = _ReportedLease(report)
    _release_on_sigterm(lease)

    def unrecorded(claim: Claim, conclusion: Conclusion) -> None:
        report.unrecorded(conclusion.reason or "not recorded")

    adopt(settings)
    configure_logs(settings, engines=())
    ledger = SqlLedger(open_database(settings, ALONE))
    trace_if_wanted(settings)
    measures = Measures()
    parts = (ledger, load_catalogue(settings), SystemClock(), measures.listening(log_event))
    executor = Executor(*parts, unrecorded=unrecorded, measures=measures)
    guard_forks()
    keep_what_is_loaded()
    with bound_to(mine):
        executor.run(mine, lease)
    report.over()
    measured = measures.take()
    if measured is not None:
        with suppress(LedgerError):
            ledger.add_measures(measured)


def _release_on_sigterm(lease: Lease) -> None:
    def release(signum: int, frame: FrameType | None) -> None:
        lease.revoke(Released, immediately=False)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, release)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
