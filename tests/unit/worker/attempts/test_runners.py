"""Where an attempt runs, and what becomes of one that does not end by itself."""

import multiprocessing
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import cast

import psutil
import pytest
from pydantic import BaseModel

from failsoft.job_engine import Catalogue, Executor, JobContext, JobState, RetryPolicy, job
from failsoft.job_engine.attempt.interrupts import (
    CancelRequested,
    Fenced,
    Interrupt,
    Released,
    TimedOut,
)
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.outcome import MAX_CRASHES
from failsoft.job_engine.records.job import Claim
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.worker.attempts.child_report import ChildReport, ChildReportReader
from failsoft.worker.attempts.claim_returns import ClaimReturns
from failsoft.worker.attempts.fork_server import Child as ServedChild
from failsoft.worker.attempts.fork_server import ForkServer
from failsoft.worker.attempts.lease_keeper import LeaseKeeper
from failsoft.worker.attempts.runners import (
    CautiousRunner,
    ChildLease,
    ChildRunner,
    ThreadRunner,
    attempt_timeout,
)
from failsoft.worker.configuration.settings import load_settings
from tests.servers.processes import PATIENCE, end, is_alive, wait_until
from tests.unit.worker.attempts.offered_job import LEASE, QUEUE, OfferedJob

TIMEOUT = timedelta(seconds=7)
ONCE = RetryPolicy(max_attempts=1)


class Nothing(BaseModel):
    """An empty payload."""


@job(name="work", timeout=TIMEOUT, retry=ONCE)
def work(payload: Nothing, ctx: JobContext) -> str:
    return ctx.run("work", str)


@job(name="hold-out", timeout=TIMEOUT, retry=ONCE)
def hold_out(payload: Nothing, ctx: JobContext) -> None:
    wait_until(lambda: False, PATIENCE, "to be interrupted")


NARROWED: list[str] = []


@job(name="narrow")
def narrow(payload: Nothing, ctx: JobContext) -> None:
    """Change what the jobs of a process share."""
    warnings.simplefilter("module")
    NARROWED.append(ctx.job_id)


CATALOGUE = Catalogue([work, hold_out, narrow])


class Bench:
    """A ledger in memory and the parts that a runner needs."""

    def __init__(self) -> None:
        self.offered = OfferedJob()
        self.returns = ClaimReturns(
            self.offered.ledger, self.offered.clock, self.offered.events.append
        )
        self.keeper = LeaseKeeper(
            self.offered.ledger, self.offered.clock, lambda claim: None, self.returns
        )
        executor = Executor(
            self.offered.ledger, CATALOGUE, self.offered.clock, self.offered.events.append
        )
        self.parts = (executor, CATALOGUE, self.keeper, QUEUE)

    def child_runner(self) -> ChildRunner:
        """Return a runner in children, which has none yet."""
        return ChildRunner(*self.parts, ForkServer(load_settings(_env_file=None)))

    def meanwhile(self, what: Callable[[], object]) -> None:
        """Do something while an attempt runs."""

        def do() -> None:
            wait_until(self.keeper.held, PATIENCE, "an attempt that runs")
            what()

        threading.Thread(target=do, daemon=True).start()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    made.keeper.start()
    yield made
    made.keeper.stop()


def test_an_attempt_in_a_thread_runs_to_its_end(bench: Bench) -> None:
    claim = bench.offered.claim()

    ThreadRunner(*bench.parts).run(claim)

    assert bench.offered.state() is JobState.SUCCEEDED
    assert bench.offered.kinds() == ["job.succeed"]
    assert bench.keeper.held() == []


def test_an_attempt_in_a_thread_has_left_the_jobs_code_before_its_end_is_recorded(
    bench: Bench,
) -> None:
    found: list[tuple[JobState, bool, list[str]]] = []
    claim = bench.offered.claim(name="narrow")
    NARROWED.clear()

    def left_code() -> None:
        found.append((bench.offered.state(), warnings.filters == filters, [*NARROWED]))

    with warnings.catch_warnings():
        filters = list(warnings.filters)
        ThreadRunner(*bench.parts).run(claim, left_code)

    assert found == [(JobState.RUNNING, True, ["job-1"])]
    assert bench.offered.state() is JobState.SUCCEEDED


def test_an_attempt_that_was_fenced_has_no_end_to_leave_the_code_for(bench: Bench) -> None:
    claim = bench.offered.claim(name="hold-out")
    left: list[None] = []
    bench.meanwhile(lambda: bench.keeper.revoke("job-1", Fenced))

    ThreadRunner(*bench.parts).run(claim, lambda: left.append(None))

    assert left == []


def test_an_attempt_in_a_thread_is_interrupted_when_its_time_is_up(bench: Bench) -> None:
    claim = bench.offered.claim(name="hold-out")
    bench.meanwhile(lambda: bench.offered.clock.advance(TIMEOUT))

    ThreadRunner(*bench.parts).run(claim)

    ended = bench.offered.ledger.get("job-1")
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error.type.endswith("AttemptTimeoutError")


def test_an_attempt_in_a_thread_that_was_fenced_records_nothing(bench: Bench) -> None:
    claim = bench.offered.claim(name="hold-out")

    def hand_over() -> None:
        ledger = bench.offered.ledger
        ledger.offer(ledger.get("job-1"), OfferPlan("dramatiq", timedelta(seconds=10)))
        bench.offered.clock.advance(LEASE / 8)
        bench.offered.clock.advance(LEASE / 8)

    bench.meanwhile(hand_over)

    ThreadRunner(*bench.parts).run(claim)

    assert bench.offered.state() is JobState.OFFERED
    assert bench.offered.kinds() == ["job.fenced"]


def test_a_job_that_is_not_known_here_has_the_time_of_its_queue(bench: Bench) -> None:
    claim = bench.offered.claim(name="work")

    assert attempt_timeout(CATALOGUE, claim, QUEUE) == TIMEOUT
    assert attempt_timeout(CATALOGUE, replace(claim, name="other"), QUEUE) == QUEUE.timeout


def test_a_job_that_lost_a_process_before_runs_alone() -> None:
    ran: list[str] = []

    @dataclass
    class Place:
        name: str

        def run(self, claim: Claim, left_code: Callable[[], object] | None = None) -> None:
            ran.append(self.name)

    claim = OfferedJob().claim()
    runner = CautiousRunner(Place("thread"), Place("child"))

    runner.run(claim)
    runner.run(replace(claim, crashes=1))

    assert ran == ["thread", "child"]


@pytest.mark.parametrize(
    ("interrupt", "exitcode", "expected"),
    [
        (None, -9, ("crash", "killed by SIGKILL")),
        (None, -11, ("crash", "killed by SIGSEGV")),
        (None, 3, ("crash", "exit status 3")),
        (CancelRequested, -9, ("stop", "")),
        (Released, -15, ("release", "worker stops")),
        (TimedOut, -9, ("fail", "no attempt left")),
    ],
)
def test_the_end_of_a_child_says_how_the_attempt_ended(
    bench: Bench, interrupt: type[Interrupt] | None, exitcode: int, expected: tuple[str, str]
) -> None:
    lease = Lease()
    if interrupt is not None:
        lease.revoke(interrupt)

    conclusion = bench.child_runner()._conclusion(bench.offered.claim(), lease, exitcode)

    assert conclusion is not None
    assert (conclusion.transition.name, conclusion.reason) == expected


def test_a_child_that_was_fenced_leaves_nothing_to_record(bench: Bench) -> None:
    lease = Lease()
    lease.revoke(Fenced)

    assert bench.child_runner()._conclusion(bench.offered.claim(), lease, -9) is None


def test_a_job_that_kills_its_processes_is_failed_at_last(bench: Bench) -> None:
    claim = replace(bench.offered.claim(), crashes=MAX_CRASHES - 1)

    conclusion = bench.child_runner()._conclusion(claim, Lease(), -9)

    assert conclusion is not None
    assert conclusion.transition.name == "crash_out"


class Child:
    """A child process with a child of its own, in a group, as an attempt's is."""

    def __init__(self) -> None:
        sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
        text = (
            "import signal, subprocess, sys\n"
            f"child = subprocess.Popen({sleeper!r})\n"
            "signal.signal(signal.SIGTERM, lambda *_: (child.kill(), sys.exit(7)))\n"
            "print('ready', flush=True)\n"
            "child.wait()\n"
        )
        self.popen = subprocess.Popen(
            [sys.executable, "-c", text], stdout=subprocess.PIPE, process_group=0
        )
        assert self.popen.stdout is not None
        self.popen.stdout.readline()
        self.pid = self.popen.pid
        itself = psutil.Process(self.pid)
        self.family = [itself, *itself.children(recursive=True)]

        receiving, sending = multiprocessing.Pipe(duplex=False)
        self.pipes = (receiving, sending)
        self.report, self.reader = ChildReport(sending), ChildReportReader(receiving)

    def is_alive(self) -> bool:
        return self.popen.poll() is None

    def join(self, timeout: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(timeout)

    def lease(self, exit_seconds: float = PATIENCE) -> ChildLease:
        """Return the lease of its attempt."""
        lease = ChildLease(exit_seconds)
        lease.attach(self.for_a_lease, self.reader)
        return lease

    @property
    def for_a_lease(self) -> ServedChild:
        return cast("ServedChild", self)

    def close(self) -> None:
        end(self.family)
        self.popen.communicate()
        for pipe in self.pipes:
            pipe.close()


@pytest.fixture
def child() -> Iterator[Child]:
    started = Child()
    yield started
    started.close()


def test_a_child_whose_worker_stops_is_requested_to_end(child: Child) -> None:
    lease = child.lease()

    lease.revoke(Released, immediately=False)

    assert child.popen.wait(PATIENCE) == 7


@pytest.mark.parametrize("interrupt", [Fenced, TimedOut, CancelRequested])
def test_a_child_that_must_end_at_once_is_killed_with_all_that_it_started(
    child: Child, interrupt: type[Interrupt]
) -> None:
    lease = child.lease()

    lease.revoke(interrupt)

    assert child.popen.wait(PATIENCE) == -9
    wait_until(lambda: not any(map(is_alive, child.family)), PATIENCE, "its child is gone, too")


def test_a_lease_that_was_revoked_before_its_child_came_ends_the_child(child: Child) -> None:
    lease = ChildLease()
    lease.revoke(Fenced)

    lease.attach(child.for_a_lease, child.reader)

    assert child.popen.wait(PATIENCE) == -9


def test_a_child_that_has_ended_is_not_signalled(child: Child) -> None:
    lease = child.lease()
    end(child.family)
    child.popen.wait(PATIENCE)

    lease.revoke(Fenced)

    assert lease.revoked_by is Fenced


@pytest.mark.parametrize("interrupt", [Fenced, TimedOut, CancelRequested, Released])
def test_a_child_that_has_only_its_end_to_record_is_left_to_do_so(
    child: Child, interrupt: type[Interrupt]
) -> None:
    lease = child.lease()
    child.report.ending()

    lease.revoke(interrupt)

    assert lease.has_ended
    assert lease.revoked_by is (Fenced if interrupt is Fenced else None)
    assert child.is_alive()


def test_a_child_that_does_not_exit_when_its_claim_is_gone_is_killed(child: Child) -> None:
    lease = child.lease(exit_seconds=0.05)
    child.report.ending()
    lease.revoke(Fenced)

    lease.join()

    assert child.popen.wait(PATIENCE) == -9


def test_a_child_that_records_its_end_is_waited_for_however_long_it_takes(child: Child) -> None:
    lease = child.lease(exit_seconds=0.05)
    child.report.ending()
    joining = threading.Thread(target=lease.join)
    joining.start()
    joining.join(0.2)
    assert child.is_alive()

    end(child.family)

    joining.join(PATIENCE)
    assert not joining.is_alive()


def test_the_parent_reads_what_its_child_reported_before_it_died(child: Child) -> None:
    assert not child.reader.is_ending
    child.report.ending()
    assert (child.reader.is_ending, child.reader.is_over) == (True, False)
    child.report.unrecorded("ledger refused: é")
    child.report.over()
    child.pipes[1].close()

    assert child.reader.is_over
    assert child.reader.unrecorded == "ledger refused: é"


def test_a_report_that_has_no_reader_is_dropped(child: Child) -> None:
    for pipe in child.pipes:
        pipe.close()

    child.report.ending()

    assert not child.reader.is_ending
