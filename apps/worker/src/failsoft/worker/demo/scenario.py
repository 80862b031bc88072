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
        self._application = Application(
            environment.dispatcher, environment.receiver.url, environment.fallback
        )
        self._primary, self._fallback = environment.primary, environment.fallback

    def run(self) -> Application:
        """Run every phase and return the application, which has the ids of its jobs.

        Raises:
            FailsoftError: If a phase cannot be completed.
        """
        self._start_workers()
        self._dispatch_to_primary()
        self._kill_workers()
        waiting = self._environment.waiting_in_primary()
        self._kill_server(waiting)
        self._dispatch_to_fallback()
        self._restore_primary()
        self._dispatch_to_primary_again()
        self._await_ends()
        return self._application

    def _start_workers(self) -> None:
        environment = self._environment
        count = len(environment.apps)
        ledgers = "a ledger" if count == 1 else f"{count} ledgers"
        self._say(
            f"Servers, {ledgers} and a webhook receiver run. The workers of {self._primary} start."
        )
        environment.first.start()
        environment.await_workers(environment.first)
        # Needed only after the kill, so their start is not waited for here.
        environment.second.start()

    def _dispatch_to_primary(self) -> None:
        plan = self._plan
        dispatched = f"{len(plan.first)} webhooks are dispatched to {self._primary}"
        self._say(f"{dispatched}. The workers of {self._fallback} start.")
        self._application.dispatch_webhooks(plan.first, BEFORE)
        self._environment.await_workers(self._environment.second)
        self._say(f"The import of a CSV file and {len(plan.alongside)} webhooks follow.")
        self._application.dispatch_import()
        for number, airport in enumerate(plan.alongside, start=1):
            self._await_batch(plan.kill_batch * number // (len(plan.alongside) + 1))
            self._application.dispatch_webhooks([airport])
        self._await_batch(plan.kill_batch)

    def _kill_workers(self) -> None:
        self._environment.kill_workers(self._environment.first)
        self._say(f"The host of {self._primary} fails during the import: its workers are killed.")
        self._application.dispatch_webhooks(self._plan.stranded)

    def _kill_server(self, waiting: int) -> None:
        self._application.loses_primary()
        self._environment.servers.primary.kill()
        self._say(f"Its server is killed by SIGKILL, with {_messages(waiting)} in its queues.")

    def _dispatch_to_fallback(self) -> None:
        outage, ledger = self._plan.outage, self._environment.ledger
        import_id, jobs = self._application.import_id, len(self._application.jobs)
        stranded = progress.offered_to(ledger, self._primary, jobs)
        self._say(f"{len(outage)} webhooks are dispatched, through {self._fallback}.")
        half = len(outage) // 2
        self._application.dispatch_webhooks(outage[:half], OUTAGE / 2)
        self._say("A new host replaces the lost one: its workers start and wait for the server.")
        self._environment.successor.start()
        self._application.dispatch_webhooks(outage[half:], OUTAGE / 2)
        if wait_for(lambda: progress.resumed_at(ledger, import_id), PATIENCE):
            batch, of = progress.resumed_at(ledger, import_id), self._plan.batches
            self._say(f"{self._fallback} resumed the import at batch {batch} of {of}.")
        if wait_for(lambda: progress.have_moved(ledger, stranded), PATIENCE):
            self._say(
                f"The jobs of the lost queues are offered to {self._fallback}, in a new epoch."
            )

    def _restore_primary(self) -> None:
        environment, returning = self._environment, self._plan.returning
        environment.servers.primary.start()
        back = self._application.returned = environment.kept_by_primary()
        self._say(
            f"The server of {self._primary} starts again, with {_messages(back)} of before. "
            f"{len(returning)} webhooks are dispatched."
        )
        self._application.dispatch_webhooks(returning, RETURN)
        environment.await_workers(environment.successor)
        wait_for(lambda: refusals(environment.successor.log) >= back, PATIENCE)
        refused = _messages(refusals(environment.successor.log))
        self._say(f"The workers refused {refused} of before as stale.")

    def _dispatch_to_primary_again(self) -> None:
        last = self._plan.last
        trusted = wait_for(self._environment.trusts_primary, PATIENCE)
        offers = "gets offers again" if trusted else "gets no offers yet"
        self._say(f"{self._primary} {offers}. The last {len(last)} webhooks are dispatched.")
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
