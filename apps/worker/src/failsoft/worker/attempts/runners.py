"""Where an attempt runs: in this thread, or in a child process that can be killed."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from failsoft.job_engine import outcome
from failsoft.job_engine.attempt.interrupts import (
    CancelRequested,
    CutOff,
    Fenced,
    Interrupt,
    Released,
    TimedOut,
)
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.job_engine.errors import UnknownJobError
from failsoft.job_engine.executor import Executor
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.records.job import Claim, Conclusion
from failsoft.job_engine.records.states import RELEASE, STOP
from failsoft.worker.attempts.child_report import ChildReportReader
from failsoft.worker.attempts.fork_server import Child, ForkServer
from failsoft.worker.attempts.lease_keeper import LeaseKeeper
from failsoft.worker.attempts.process_state import ProcessState
from failsoft.worker.attempts.thread_interrupt import interrupt_thread
from failsoft.worker.processes import forks

#: How long a job waits that found no child process to run in.
NO_CHILD_DELAY = timedelta(seconds=5)
#: How long a child may take to exit when the ledger has its attempt's end, in seconds.
EXIT_SECONDS = 10.0


class Runner(Protocol):
    """Runs one claimed attempt to its end, and records it."""

    def run(self, claim: Claim, left_code: Callable[[], object] | None = None) -> None:
        """Run the attempt; a failure of the job raises nothing.

        Args:
            claim: The attempt's.
            left_code: Called when the job's code is over and its end is still to be recorded,
                where that is known here.
        """
        ...


def attempt_timeout(catalogue: Catalogue, claim: Claim, queue: QueueProfile) -> timedelta:
    """Return the longest the attempt may run."""
    if claim.name not in catalogue:
        return queue.timeout
    return catalogue.of(claim).timeout_on(queue.name)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What runs the attempts of one queue."""

    executor: Executor
    catalogue: Catalogue
    keeper: LeaseKeeper
    queue: QueueProfile

    def timeout(self, claim: Claim) -> timedelta:
        return attempt_timeout(self.catalogue, claim, self.queue)


@dataclass(frozen=True, slots=True)
class ThreadRunner(_Parts):
    """Run attempts in the calling thread, which lives as long as the process.

    For `isolation="thread"`. What an attempt changes of the process is restored where possible,
    before the next one begins.
    """

    _process_state: ProcessState = field(init=False, default_factory=ProcessState)

    def run(self, claim: Claim, left_code: Callable[[], object] | None = None) -> None:
        """Run the attempt in this thread."""
        forks.stays()
        with self._process_state.kept() as restore:

            def over() -> None:
                # First, for the next attempt may begin at once.
                restore()
                if left_code is not None:
                    left_code()

            lease = Lease(interrupt_thread, over)
            with self.keeper.hold(claim, lease, self.timeout(claim)):
                self.executor.run(claim, lease)


class ChildLease(Lease):
    """The lease of an attempt in a child process: revoking it signals or kills the child.

    A child that has reported the end of the job's code is left to record that end: the keeper
    finds the claim gone as soon as it has, and a lost lease lets it record nothing.
    """

    def __init__(self, exit_seconds: float = EXIT_SECONDS) -> None:
        super().__init__()
        self._exit_seconds = exit_seconds
        self._child: Child | None = None
        self._report: ChildReportReader | None = None

    @property
    def is_in_job_code(self) -> bool:
        """Whether there is a child, which runs nothing but the job."""
        return self._child is not None

    def attach(self, child: Child, report: ChildReportReader) -> None:
        """Signal this child from now on, and for an earlier revocation."""
        self._child, self._report = child, report
        if self.revoked_by is not None:
            self._signal(self.revoked_by)

    def revoke(self, interrupt: type[Interrupt], *, immediately: bool = True) -> None:
        """Stop the child: by SIGKILL to its group, or if released by SIGTERM at its next step."""
        if self._report is not None and self._report.is_ending:
            self.end()
        super().revoke(interrupt, immediately=immediately)
        if not self.has_ended:
            self._signal(interrupt)

    def join(self) -> None:
        """Wait until the child has exited; kill one that does not when its claim is gone."""
        child = self._child
        while child is not None and child.is_alive():
            is_gone = self.revoked_by is Fenced
            child.join(self._exit_seconds)
            if is_gone:
                self._signal(Fenced)

    def _signal(self, interrupt: type[Interrupt]) -> None:
        child = self._child
        if child is None or not child.is_alive():
            return
        with suppress(ProcessLookupError):
            if interrupt is Released:
                os.kill(child.pid, signal.SIGTERM)
            else:
                _kill_group(child.pid)


@dataclass(frozen=True, slots=True)
class _ChildEnd:
    """How a child ended.

    Attributes:
        exitcode: Its exit status; None if there was no child.
        is_over: Whether the end of the attempt is recorded, or it was fenced.
        given_back: Why the job is to be given back, if it is.
    """

    exitcode: int | None
    is_over: bool
    given_back: str | None


@dataclass(frozen=True, slots=True)
class ChildRunner(_Parts):
    """Run each attempt in a child process of its own: `isolation="process"`.

    This process holds the lease; the death of a child is recorded at once, without waiting for the
    lease to expire. Processes that it leaves in its group end with it.
    """

    fork_server: ForkServer

    def run(self, claim: Claim, left_code: Callable[[], object] | None = None) -> None:
        """Run the attempt in a child and wait for its end; the child's code is over with it."""
        lease = ChildLease()
        with self.keeper.hold(claim, lease, self.timeout(claim)):
            started = datetime.now(UTC)
            ended = self._run_child(claim, lease)
            if ended.given_back is not None:
                reason = ended.given_back
                back = Conclusion(RELEASE, delay=NO_CHILD_DELAY, reason=reason)
                self.executor.conclude(claim, back, lease)
                return
            if ended.is_over:
                lease.end()
                return
            conclusion = self._conclusion(claim, lease, ended.exitcode)
            self.executor.conclude_dead(claim, conclusion, lease, started)

    def _run_child(self, claim: Claim, lease: ChildLease) -> "_ChildEnd":
        try:
            child = self.fork_server.child(claim)
        except OSError as error:
            return _ChildEnd(None, is_over=False, given_back=f"no child process: {error}")
        with child:
            report = ChildReportReader(child.talk)
            lease.attach(child, report)
            lease.join()
            _end_rest_of_group(child)
            is_over = report.is_over or child.exitcode == 0
            return _ChildEnd(child.exitcode, is_over=is_over, given_back=report.unrecorded)

    def _conclusion(self, claim: Claim, lease: Lease, exitcode: int | None) -> Conclusion | None:
        if lease.revoked_by in (Fenced, CutOff):
            return None
        if lease.revoked_by is CancelRequested:
            return Conclusion(STOP)
        if lease.revoked_by is Released:
            return Conclusion(RELEASE, reason="worker stops")
        if lease.revoked_by is TimedOut:
            try:
                return outcome.timed_out(self.catalogue.of(claim), claim)
            except UnknownJobError:
                return outcome.unknown(claim)
        return outcome.crashed(claim, _how(exitcode))


@dataclass(frozen=True, slots=True)
class CautiousRunner:
    """Run attempts in threads, but those of a job that has crashed a process in a child.

    A job that crashes its process interrupts the other threads' attempts once; after that it runs
    in a process of its own, and fails alone (rule 18).
    """

    threads: Runner
    children: Runner

    def run(self, claim: Claim, left_code: Callable[[], object] | None = None) -> None:
        """Run the attempt in a child if an earlier one crashed, else in this thread."""
        (self.children if claim.crashes else self.threads).run(claim, left_code)


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        # It has not created its group yet.
        os.kill(pid, signal.SIGKILL)


def _end_rest_of_group(child: Child) -> None:
    # The number is not reused as long as one process of the group exists.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def _how(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return f"killed by {signal.Signals(-exitcode).name}"
    return f"exit status {exitcode}"
