"""Where an attempt runs: in this thread, or in a child process that can be killed."""

import multiprocessing
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any, Protocol

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
from failsoft.worker.attempts.child import run_attempt
from failsoft.worker.attempts.lease_keeper import LeaseKeeper
from failsoft.worker.attempts.process_state import ProcessState
from failsoft.worker.attempts.thread_interrupt import interrupt_thread
from failsoft.worker.configuration.settings import process_settings
from failsoft.worker.processes import forks

#: How long a job waits that found no child process to run in.
NO_CHILD_DELAY = timedelta(seconds=5)


class Runner(Protocol):
    """Runs one claimed attempt to its end, and records it."""

    def run(self, claim: Claim) -> None:
        """Run the attempt; never raises for the job's sake."""
        ...


def attempt_timeout(catalogue: Catalogue, claim: Claim, queue: QueueProfile) -> timedelta:
    """Return the longest the attempt may run."""
    if claim.name not in catalogue:
        return queue.timeout
    return catalogue.get(claim.name).timeout_on(queue.name)


class ThreadRunner:
    """Run attempts in the calling thread: `isolation="thread"`.

    It is taken to live as long as the process. What an attempt changes of the process, and what
    can be put right again, is as it was when the next one begins.
    """

    def __init__(
        self, executor: Executor, catalogue: Catalogue, keeper: LeaseKeeper, queue: QueueProfile
    ) -> None:
        """Run the attempts of one queue."""
        self._executor = executor
        self._catalogue = catalogue
        self._keeper = keeper
        self._queue = queue
        self._process_state = ProcessState()

    def run(self, claim: Claim) -> None:
        """Run the attempt in this thread."""
        forks.stays()
        lease = Lease(interrupt_thread)
        timeout = attempt_timeout(self._catalogue, claim, self._queue)
        with self._process_state.kept(), self._keeper.hold(claim, lease, timeout):
            self._executor.run(claim, lease)


class ChildLease(Lease):
    """The lease of an attempt in a child process: revoking it signals or kills the child."""

    def __init__(self) -> None:
        """Begin without a child."""
        super().__init__()
        self._child: ForkServerProcess | None = None

    @property
    def is_in_job_code(self) -> bool:
        """Tell whether the child is there, which runs nothing else."""
        return self._child is not None

    def attach(self, child: ForkServerProcess) -> None:
        """Signal this child from now on, also for what was revoked before."""
        self._child = child
        if self.revoked_by is not None:
            self._signal(self.revoked_by)

    def revoke(self, interrupt: type[Interrupt], *, immediately: bool = True) -> None:
        """Stop the child: at once by SIGKILL to its group, else by SIGTERM at its next step."""
        super().revoke(interrupt, immediately=immediately)
        self._signal(interrupt)

    def _signal(self, interrupt: type[Interrupt]) -> None:
        child = self._child
        if child is None or child.pid is None or not child.is_alive():
            return
        with suppress(ProcessLookupError):
            if interrupt is Released:
                os.kill(child.pid, signal.SIGTERM)
            else:
                _kill_group(child.pid)


class ChildRunner:
    """Run each attempt in a child process of its own: `isolation="process"`.

    The children are forked by a server that was started before this process had threads, and
    that has the job modules loaded. This process holds the lease; a child that dies is recorded
    at once, without waiting for the lease to run out. Processes that it leaves in its group end
    with it.
    """

    def __init__(
        self, executor: Executor, catalogue: Catalogue, keeper: LeaseKeeper, queue: QueueProfile
    ) -> None:
        """Run the attempts of one queue; call `prepare_fork_server` first."""
        self._executor = executor
        self._catalogue = catalogue
        self._keeper = keeper
        self._queue = queue
        self._context = multiprocessing.get_context("forkserver")

    @staticmethod
    def prepare_fork_server(modules: Sequence[str], *, start: bool) -> None:
        """Say what the process that forks the children loads, and start it or leave it for later.

        It is best started by the main thread: it ends with the thread that started it.
        """
        preload = [
            "failsoft.worker.attempts.forkserver",
            "failsoft.worker.attempts.child",
            *modules,
        ]
        multiprocessing.set_forkserver_preload(preload)
        if start:
            forkserver.ensure_running()

    def run(self, claim: Claim) -> None:
        """Run the attempt in a child and see it end."""
        lease = ChildLease()
        timeout = attempt_timeout(self._catalogue, claim, self._queue)
        with self._keeper.hold(claim, lease, timeout):
            conclusion = self._attempt(claim, lease)
            if conclusion is not None:
                self._executor.conclude(claim, conclusion, lease)

    def _attempt(self, claim: Claim, lease: ChildLease) -> Conclusion | None:
        word, of_child = self._context.Pipe(duplex=False)
        child = self._context.Process(
            target=run_attempt, args=(asdict(claim), of_child, process_settings().for_child())
        )
        with word:
            with of_child:
                try:
                    child.start()
                except (OSError, EOFError) as error:
                    why = f"no child process: {error}"
                    return Conclusion(RELEASE, delay=NO_CHILD_DELAY, reason=why)
            lease.attach(child)
            child.join()
            _end_rest_of_group(child)
            unrecorded = _said(word)
        if unrecorded is not None:
            return Conclusion(RELEASE, delay=NO_CHILD_DELAY, reason=unrecorded)
        return self._conclusion(claim, lease, child.exitcode)

    def _conclusion(self, claim: Claim, lease: Lease, exitcode: int | None) -> Conclusion | None:
        if exitcode == 0:
            # It has recorded the end itself, or it was fenced.
            lease.end()
        if exitcode == 0 or lease.revoked_by in (Fenced, CutOff):
            return None
        if lease.revoked_by is CancelRequested:
            return Conclusion(STOP)
        if lease.revoked_by is Released:
            return Conclusion(RELEASE, reason="worker stops")
        if lease.revoked_by is TimedOut:
            try:
                return outcome.timed_out(self._catalogue.get(claim.name), claim)
            except UnknownJobError:
                return outcome.unknown(claim)
        return outcome.crashed(claim, _how(exitcode))


class CautiousRunner:
    """Run attempts in threads, but a job that has lost a process before in a child.

    A poison job takes a process of threads and its neighbours with it once; then it is alone,
    and fails alone (rule 18).
    """

    def __init__(self, threads: ThreadRunner, children: ChildRunner) -> None:
        """Choose between the two."""
        self._threads = threads
        self._children = children

    def run(self, claim: Claim) -> None:
        """Run the attempt where it can do no more harm than it has done."""
        (self._children if claim.crashes else self._threads).run(claim)


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        # It has not made its own group yet.
        os.kill(pid, signal.SIGKILL)


def _end_rest_of_group(child: ForkServerProcess) -> None:
    # The number is given to no other process as long as one of the group is there.
    if child.pid is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)


def _said(word: "Connection[Any, Any]") -> str | None:
    """Return why a child could record no end of its attempt, if it said so."""
    try:
        return word.recv_bytes().decode(errors="replace") if word.poll() else None
    except (EOFError, OSError):
        return None


def _how(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return f"killed by {signal.Signals(-exitcode).name}"
    return f"exit status {exitcode}"
