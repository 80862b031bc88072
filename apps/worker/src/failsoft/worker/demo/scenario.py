"""The play itself, act by act."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from failsoft.worker.demo.dispatching import Application
from failsoft.worker.demo.display import progress
from failsoft.worker.demo.environment.environment import Stage
from failsoft.worker.demo.environment.worker_logs import refusals
from failsoft.worker.demo.plan import Script
from failsoft.worker.demo.wait_for import wait_for

#: How long the webhooks of an act take to be dispatched.
CALM = timedelta(seconds=3)
OUTAGE = timedelta(seconds=5)
RETURN = timedelta(seconds=2.5)
LAST = timedelta(seconds=2.5)
#: How long to wait for what must come; the verdict tells if it did not.
PATIENCE = timedelta(seconds=20)
PATIENCE_PER_JOB = timedelta(milliseconds=20)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Record:
    """What was done in the play, for the verdict.

    Attributes:
        jobs: The ids of all dispatched jobs.
        import_id: The id of the import.
        after_failback: The ids of those dispatched after the primary was trusted again.
        failover: How long after the kill the fallback had accepted a job.
    """

    jobs: Sequence[str]
    import_id: str
    after_failback: Sequence[str]
    failover: timedelta | None


class Story:
    """Plays a script on a stage and keeps a record."""

    def __init__(self, stage: Stage, script: Script, say: Say) -> None:
        """Take the parts; `play` begins."""
        self._stage = stage
        self._script = script
        self._say = say
        self._application = Application(stage.app.dispatcher, stage.receiver.url)

    def play(self) -> Record:
        """Play every act and return what was done.

        Raises:
            FailsoftError: If it cannot go on.
        """
        self._workers_come()
        self._all_is_well()
        self._workers_die()
        waiting = self._stage.waiting_in_primary()
        old_list = self._valkey_dies(waiting)
        self._dramatiq_carries_on()
        self._primary_returns(old_list, waiting)
        after_failback = self._dispatch_to_rq_again()
        self._everything_ends()
        done = self._application
        return Record(done.jobs, done.import_id, after_failback, done.failover)

    def _workers_come(self) -> None:
        stage = self._stage
        self._say("Two Valkeys, a ledger and a webhook receiver run; RQ's workers come.")
        stage.rq.start()
        stage.await_workers(stage.rq)
        # Nobody needs them yet: the play need not wait for them.
        stage.dramatiq.start()

    def _all_is_well(self) -> None:
        script = self._script
        self._say(f"All is well: {len(script.first)} webhooks go to RQ; Dramatiq's workers come.")
        self._application.dispatch_webhooks(script.first, CALM)
        self._stage.await_workers(self._stage.dramatiq)
        self._say(f"The import of a CSV file goes to RQ, and {len(script.alongside)} webhooks.")
        self._application.dispatch_import()
        for number, airport in enumerate(script.alongside, start=1):
            self._await_batch(script.kill_batch * number // (len(script.alongside) + 1))
            self._application.dispatch_webhooks([airport])
        self._await_batch(script.kill_batch)

    def _workers_die(self) -> None:
        self._stage.kill_workers(self._stage.rq)
        self._say(
            "The host that carries RQ's Valkey and RQ's workers is lost, in the middle of the "
            "import. SIGKILL to the workers."
        )
        self._application.dispatch_webhooks(self._script.stranded)

    def _valkey_dies(self, waiting: int) -> bytes:
        old_list = self._stage.primary.snapshot()
        self._application.loses_primary()
        self._stage.primary.kill()
        words = _messages(waiting)
        self._say(f"SIGKILL to the Valkey, which has {words} in its list and its dump.")
        return old_list

    def _dramatiq_carries_on(self) -> None:
        outage, ledger = self._script.outage, self._stage.ledger
        import_id, jobs = self._application.import_id, len(self._application.jobs)
        stranded = progress.offered_to(ledger, "rq", jobs)
        self._say(f"Dispatching goes on: {len(outage)} webhooks, through Dramatiq.")
        half = len(outage) // 2
        self._application.dispatch_webhooks(outage[:half], OUTAGE / 2)
        self._say("A new host takes the place of the lost one; RQ's workers come, and wait.")
        self._stage.new_rq.start()
        self._application.dispatch_webhooks(outage[half:], OUTAGE / 2)
        if wait_for(lambda: progress.resumed_at(ledger, import_id), PATIENCE):
            batch, of = progress.resumed_at(ledger, import_id), self._script.batches
            self._say(f"Dramatiq resumed the import at batch {batch} of {of}.")
        if wait_for(lambda: progress.have_moved(ledger, stranded), PATIENCE):
            self._say("What waited in the lost list is Dramatiq's now, with a new epoch.")

    def _primary_returns(self, old_list: bytes, waiting: int) -> None:
        stage, returning = self._stage, self._script.returning
        self._say(
            f"RQ's Valkey is back, with its old list. Meanwhile {len(returning)} webhooks more."
        )
        stage.primary.restore(old_list)
        stage.primary.start()
        self._application.dispatch_webhooks(returning, RETURN)
        stage.await_workers(stage.new_rq)
        wait_for(lambda: refusals(stage.new_rq.log) >= waiting, PATIENCE)
        refused = _messages(refusals(stage.new_rq.log))
        self._say(f"The workers refused {refused} of the old list: stale.")

    def _dispatch_to_rq_again(self) -> Sequence[str]:
        last = self._script.last
        trusted = wait_for(self._stage.trusts_primary, PATIENCE)
        self._say(f"RQ is {'' if trusted else 'not '}trusted again: the last {len(last)} webhooks.")
        dispatched = self._application.dispatch_webhooks(last, LAST)
        return dispatched if trusted else ()

    def _everything_ends(self) -> None:
        jobs = len(self._application.jobs)
        patience = PATIENCE + jobs * PATIENCE_PER_JOB
        if wait_for(lambda: progress.have_ended(self._stage.ledger, jobs), patience):
            self._say("Every job has ended; the workers stop.")
        self._stage.stop_workers()

    def _batches(self) -> int:
        return len(progress.batches(self._stage.ledger, self._application.import_id))

    def _await_batch(self, number: int) -> None:
        wait_for(lambda: self._batches() >= number, PATIENCE)


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count:,} messages"
