"""The machine on a ledger whose clock jumps, and that takes no writes for a while."""

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from tests.stateful.benches import Bench
from tests.stateful.choices import numbers, spans
from tests.stateful.machine import MOST_JOBS, LedgerMachine, if_any
from tests.stateful.play import LEASE, PICKUP
from understudy.job_engine.records import JobRecord, WorkerRecord
from understudy.testing.ledger_suite.scene import FIRST, QUEUE, new_job, plan

DAY = timedelta(days=1)
jumps = st.sampled_from((timedelta(minutes=2), timedelta(hours=1), DAY, 400 * DAY))
TTL = timedelta(seconds=15)
#: As long as everything that is derived from a span may take, and the slack of clocks.
LONGEST = timedelta(hours=1) + timedelta(seconds=2)


class TroubledMachine(LedgerMachine):
    """What may happen to any ledger, and what happens to the clock and the disk of its host."""

    def __init__(self) -> None:
        super().__init__()
        self._ahead = timedelta(0)

    @initialize(target=LedgerMachine.seen, jump=st.none() | jumps)
    def dispatch_while_the_clock_is_ahead(self, jump: timedelta | None) -> JobRecord:
        """Begin half of the machines with what rules alone seldom meet in this order."""
        if jump is None:
            return if_any(None)
        self._set_clock(jump)
        job = if_any(self.play.dispatch(FIRST))
        self._set_clock(-jump)
        self._mend(jump)
        return job

    @rule(jump=jumps, back=st.booleans())
    def set_the_clock(self, jump: timedelta, back: bool) -> None:
        """Let it jump, or come back from where it jumped to."""
        self._set_clock(-self._ahead if self._ahead else (-jump if back else jump))

    @rule(ahead=jumps)
    def mend(self, ahead: timedelta) -> None:
        """Pull in what lies too far ahead; then nothing does that a span was behind."""
        self._mend(ahead)

    @rule(number=numbers)
    def beat(self, number: int) -> None:
        worker = WorkerRecord(f"boot-{number % 2}", FIRST, QUEUE, "host", 1, 8)
        self.play.pair.ask("beat", lambda x: x.beat(worker, TTL))

    @rule(span=spans)
    def take_no_writes(self, span: timedelta) -> None:
        job = new_job()
        self.play.pair.ask_while_it_takes_no_writes(lambda x: x.record_job(job, plan(FIRST, span)))

    @invariant()
    def nobody_lives_for_longer_than_a_beat_counts(self) -> None:
        pair = self.play.pair
        pair.ask("live", lambda x: sorted(worker.boot_id for worker in x.live_workers()))
        now = pair.sql.clock().now
        for worker in pair.sql.live_workers():
            assert worker.live_until is not None
            assert worker.live_until - now <= TTL + timedelta(seconds=1)

    @invariant()
    def no_lease_is_believed_for_longer_than_it_lasts(self) -> None:
        pair = self.play.pair
        now = pair.sql.clock().now
        for running in pair.sql.running():
            until = pair.sql.get(running.job_id).lease_until
            assert running.expired or (until and until - now <= LEASE + timedelta(seconds=1))

    def _set_clock(self, by: timedelta) -> None:
        self._ahead += by
        self.play.pair.set_clock(by)

    def _mend(self, ahead: timedelta) -> None:
        pair = self.play.pair
        if pair.ask("mend", lambda x: bool(x.mend({QUEUE: PICKUP}, ahead))):
            self.bench.figures["something was mended"] += 1
        now = pair.sql.clock().now
        for job in pair.sql.list_jobs(limit=MOST_JOBS * 3):
            moments = (job.run_at, job.pickup_by)
            assert all(each is None or each - now <= LONGEST for each in moments), job
        assert not pair.sql.mend({QUEUE: PICKUP}, ahead), "mended twice"
        pair.memory.mend({QUEUE: PICKUP}, ahead)


def troubled_machine_on(bench: Bench) -> type[TroubledMachine]:
    """Return the machine that works on a bench."""
    return type("TroubledMachineOnBench", (TroubledMachine,), {"bench": bench})
