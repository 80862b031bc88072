"""What the demo does, phase by phase."""

from collections.abc import Callable
from datetime import timedelta

from failsoft.worker.demo.dispatching import Application
from failsoft.worker.demo.display import progress
from failsoft.worker.demo.environment.environment import Environment
from failsoft.worker.demo.environment.worker_logs import refusals
from failsoft.worker.demo.plan import Plan
from failsoft.worker.demo.wait_for import wait_for

#: How long the webhooks of a phase take to be dispatched.
BEFORE = timedelta(seconds=3)
OUTAGE = timedelta(seconds=5)
RETURN = timedelta(seconds=2.5)
LAST = timedelta(seconds=2.5)
#: How long to wait for an expected event; the verdict shows whether it came.
PATIENCE = timedelta(seconds=20)
PATIENCE_PER_JOB = timedelta(milliseconds=20)

Say = Callable[[str], None]


class Scenario:
    """Carries out a plan in an environment."""

    def __init__(self, environment: Environment, plan: Plan, say: Say) -> None:
        self._environment = environment
        self._plan = plan
        self._say = say
        self._application = Application(environment.app.dispatcher, environment.receiver.url)

    def run(self) -> Application:
        """Run every phase and return the application, which has the ids of its jobs.

        Raises:
            FailsoftError: If a phase cannot be completed.
        """
        self._start_workers()
        self._dispatch_to_rq()
        self._kill_workers()
        waiting = self._environment.waiting_in_primary()
        old_list = self._kill_valkey(waiting)
        self._dispatch_to_dramatiq()
        self._restore_primary(old_list, waiting)
        self._dispatch_to_rq_again()
        self._await_ends()
        return self._application

    def _start_workers(self) -> None:
        environment = self._environment
        self._say("Two Valkeys, a ledger and a webhook receiver run. RQ's workers start.")
        environment.rq.start()
        environment.await_workers(environment.rq)
        # Needed only after the kill, so their start is not waited for here.
        environment.dramatiq.start()

    def _dispatch_to_rq(self) -> None:
        plan = self._plan
        self._say(f"{len(plan.first)} webhooks are dispatched to RQ. Dramatiq's workers start.")
        self._application.dispatch_webhooks(plan.first, BEFORE)
        self._environment.await_workers(self._environment.dramatiq)
        self._say(f"The import of a CSV file and {len(plan.alongside)} webhooks follow.")
        self._application.dispatch_import()
        for number, airport in enumerate(plan.alongside, start=1):
            self._await_batch(plan.kill_batch * number // (len(plan.alongside) + 1))
            self._application.dispatch_webhooks([airport])
        self._await_batch(plan.kill_batch)

    def _kill_workers(self) -> None:
        self._environment.kill_workers(self._environment.rq)
        self._say("RQ's host fails during the import: its workers are killed by SIGKILL.")
        self._application.dispatch_webhooks(self._plan.stranded)

    def _kill_valkey(self, waiting: int) -> bytes:
        old_list = self._environment.primary.snapshot()
        self._application.loses_primary()
        self._environment.primary.kill()
        words = _messages(waiting)
        self._say(f"Its Valkey is killed by SIGKILL, with {words} in its list and its dump.")
        return old_list

    def _dispatch_to_dramatiq(self) -> None:
        outage, ledger = self._plan.outage, self._environment.ledger
        import_id, jobs = self._application.import_id, len(self._application.jobs)
        stranded = progress.offered_to(ledger, "rq", jobs)
        self._say(f"{len(outage)} webhooks are dispatched, through Dramatiq.")
        half = len(outage) // 2
        self._application.dispatch_webhooks(outage[:half], OUTAGE / 2)
        self._say("A new host replaces the lost one: its RQ workers start and wait for Valkey.")
        self._environment.new_rq.start()
        self._application.dispatch_webhooks(outage[half:], OUTAGE / 2)
        if wait_for(lambda: progress.resumed_at(ledger, import_id), PATIENCE):
            batch, of = progress.resumed_at(ledger, import_id), self._plan.batches
            self._say(f"Dramatiq resumed the import at batch {batch} of {of}.")
        if wait_for(lambda: progress.have_moved(ledger, stranded), PATIENCE):
            self._say("The jobs of the lost list are offered to Dramatiq, with a new epoch.")

    def _restore_primary(self, old_list: bytes, waiting: int) -> None:
        environment, returning = self._environment, self._plan.returning
        self._say(
            f"RQ's Valkey starts with its old list. {len(returning)} webhooks are dispatched."
        )
        environment.primary.restore(old_list)
        environment.primary.start()
        self._application.dispatch_webhooks(returning, RETURN)
        environment.await_workers(environment.new_rq)
        wait_for(lambda: refusals(environment.new_rq.log) >= waiting, PATIENCE)
        refused = _messages(refusals(environment.new_rq.log))
        self._say(f"The workers refused {refused} of the old list as stale.")

    def _dispatch_to_rq_again(self) -> None:
        last = self._plan.last
        trusted = wait_for(self._environment.trusts_primary, PATIENCE)
        offers = "gets offers again" if trusted else "gets no offers yet"
        self._say(f"RQ {offers}. The last {len(last)} webhooks are dispatched.")
        dispatched = self._application.dispatch_webhooks(last, LAST)
        self._application.after_failback = dispatched if trusted else ()

    def _await_ends(self) -> None:
        jobs = len(self._application.jobs)
        patience = PATIENCE + jobs * PATIENCE_PER_JOB
        if wait_for(lambda: progress.have_ended(self._environment.ledger, jobs), patience):
            self._say("Every job has ended. The workers stop.")
        self._environment.stop_workers()

    def _batches(self) -> int:
        return len(progress.batches(self._environment.ledger, self._application.import_id))

    def _await_batch(self, number: int) -> None:
        wait_for(lambda: self._batches() >= number, PATIENCE)


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count:,} messages"
