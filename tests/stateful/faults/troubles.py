"""The machine on a ledger whose clock jumps, that takes no writes, is cut off or split."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from itertools import count
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import JobRecord, WorkerRecord
from failsoft.testing.ledger_suite.fixtures import FIRST, QUEUE, new_job, plan
from tests.stateful.actions import LEASE, PICKUP
from tests.stateful.attempt import Attempt
from tests.stateful.choices import MINUTE, numbers, spans
from tests.stateful.databases import Bench, Loss
from tests.stateful.faults.terminations import Terminations
from tests.stateful.machine import MOST_JOBS, LedgerMachine, if_any

DAY = timedelta(days=1)
jumps = st.sampled_from((timedelta(minutes=2), timedelta(hours=1), DAY, 400 * DAY))
TTL = timedelta(seconds=15)
#: As long as everything that is derived from a span may take, and the slack of clocks.
LONGEST = timedelta(hours=1) + timedelta(seconds=2)


def _conclude(name: str, attempt: Attempt, ledger: Ledger) -> None:
    ledger.conclude(attempt.claim, attempt.conclusion(name, MINUTE))


#: The calls of an attempt that may be cut, by its name.
CALLS: Mapping[str, Callable[[Attempt, Ledger], object]] = {
    "begin": lambda attempt, ledger: ledger.begin(attempt.claim, attempt.step.name, attempt.place),
    "claim": lambda attempt, ledger: ledger.claim(attempt.ticket),
    "cancel": lambda attempt, ledger: ledger.cancel(attempt.claim.job_id, "a client"),
    "renew": lambda attempt, ledger: sorted(c.job_id for c in ledger.renew([attempt.claim])),
    **{name: partial(_conclude, name) for name in ("retry", "succeed")},
}


class TroubledMachine(LedgerMachine):
    """What may happen to any ledger, and what happens to the clock and the disk of its host.

    Attributes:
        terminations: What cuts the way to a PostgreSQL ledger; None where it is a file.
    """

    terminations: ClassVar[Terminations | None] = None

    def __init__(self) -> None:
        super().__init__()
        self._ahead = timedelta(0)

    @initialize(target=LedgerMachine.seen, jump=st.none() | jumps)
    def dispatch_while_the_clock_is_ahead(self, jump: timedelta | None) -> JobRecord:
        """Begin half of the machines with what rules alone seldom meet in this order."""
        if jump is None:
            return if_any(None)
        self._set_clock(jump)
        job = if_any(self.actions.dispatch(FIRST))
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
        self.actions.pair.ask("beat", lambda x: x.beat(worker, TTL))

    @rule(span=spans)
    def take_no_writes(self, span: timedelta) -> None:
        job = new_job()
        self.actions.pair.ask_while_it_takes_no_writes(
            lambda x: x.record_job(job, plan(FIRST, span))
        )

    @precondition(lambda self: self.terminations is None)
    @rule(losses=st.permutations(list(Loss)), reopened=st.booleans())
    def lose_the_file(self, losses: list[Loss], reopened: bool) -> None:
        """Have another file at the path than the one that is open; nothing is lost with it."""
        job = new_job()
        for loss in losses:
            self.actions.pair.ask_while_its_file_is_lost(
                loss, lambda x: x.record_job(job, plan(FIRST, PICKUP))
            )
            if reopened:
                self.actions.pair.reopen()
            self.actions.pair.expect_sound()

    @precondition(lambda self: self.terminations is not None)
    @rule(attempt=LedgerMachine.attempts, what=st.sampled_from(sorted(CALLS)))
    def cut_calls(self, attempt: Attempt, what: str) -> None:
        """Lose the ledger at each statement, commit and reply, for longer than the call lasts."""
        assert self.terminations is not None
        for moment in count(1):
            cut = self.terminations.at(moment, for_good=True)
            self.actions.pair.ask_while_it_goes_away(lambda x: CALLS[what](attempt, x), cut)
            if not self.terminations.struck:
                break
            self.actions.pair.expect_sound()

    @invariant()
    def nobody_lives_for_longer_than_a_beat_counts(self) -> None:
        pair = self.actions.pair
        pair.ask("live", lambda x: sorted(worker.boot_id for worker in x.live_workers()))
        now = pair.sql.clock().now
        for worker in pair.sql.live_workers():
            assert worker.live_until is not None
            assert worker.live_until - now <= TTL + timedelta(seconds=1)

    @invariant()
    def no_lease_is_believed_for_longer_than_it_lasts(self) -> None:
        pair = self.actions.pair
        now = pair.sql.clock().now
        for running in pair.sql.running():
            until = pair.sql.get(running.job_id).lease_until
            assert running.expired or (until and until - now <= LEASE + timedelta(seconds=1))

    def _set_clock(self, by: timedelta) -> None:
        self._ahead += by
        self.actions.pair.set_clock(by)

    def _mend(self, ahead: timedelta) -> None:
        pair = self.actions.pair
        if pair.ask("mend", lambda x: bool(x.mend({QUEUE: PICKUP}, ahead))):
            self.bench.figures["something was mended"] += 1
        now = pair.sql.clock().now
        for job in pair.sql.list_jobs(limit=MOST_JOBS * 3):
            moments = (job.run_at, job.pickup_by)
            assert all(each is None or each - now <= LONGEST for each in moments), job
        assert not pair.sql.mend({QUEUE: PICKUP}, ahead), "mended twice"
        pair.memory.mend({QUEUE: PICKUP}, ahead)


def troubled_machine_on(
    bench: Bench, terminations: Terminations | None = None
) -> type[TroubledMachine]:
    """Return the machine that works on a bench."""
    given = {"bench": bench, "terminations": terminations}
    return type("TroubledMachineOnBench", (TroubledMachine,), given)
