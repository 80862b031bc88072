"""Jobs that wait for events and for other jobs, or must not do a thing twice."""

from datetime import timedelta

from sqlalchemy import Connection

from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.errors import JobCancelledError, JobFailedError
from failsoft.job_engine.steps.context import JobContext
from failsoft.job_engine.steps.once import NOT_DONE, NotDone
from tests.simulation.jobs.bodies import Bodies, Order
from tests.simulation.processes.databases import add_effect

Definition = JobDefinition[Order, list[str]]

NEWS, NOTHING = "news", "nothing"
PATIENCE = timedelta(seconds=12)


class WaitingBodies(Bodies):
    """The code of such jobs.

    Attributes:
        errand: The job that others invoke.
    """

    errand: Definition

    def _listening(self, ctx: JobContext) -> list[str]:
        before = self._step(ctx, "ask")
        heard = ctx.wait_for_event(NEWS, str, timeout=PATIENCE)
        self.effect_log.meets(ctx.job_id, NEWS, heard or NOTHING)
        return [before, self._step(ctx, "tell")]

    def _sending(self, ctx: JobContext) -> list[str]:
        """Send another job on an errand, and wait for it."""
        before = self._step(ctx, "before")
        try:
            done = ctx.invoke(self.errand, Order())
        except (JobFailedError, JobCancelledError) as error:
            done = [type(error).__name__]
        self.effect_log.meets(ctx.job_id, self.errand.name, " ".join(done))
        return [before, self._step(ctx, "after")]

    def _errand(self, ctx: JobContext) -> list[str]:
        return [self._risky(ctx, "go")]

    def _doubtful(self, ctx: JobContext) -> list[str]:
        """Do what may not be done twice and cannot be verified."""
        return [ctx.run("pay", self._worked, ctx, "pay", once=True)]

    def _verified(self, ctx: JobContext) -> list[str]:
        """Do what may not be done twice and can be verified."""
        return [ctx.run("pay", self._worked, ctx, "pay", once=True, verify=self._found_out)]

    def _found_out(self, ctx: JobContext, name: str) -> str | NotDone:
        self._scheduler.moment()
        done = (ctx.job_id, name) in self.effect_log.ended
        return f"{ctx.job_id}:{name}" if done else NOT_DONE

    def _booking(self, ctx: JobContext) -> list[str]:
        """Write a row in the transaction of the step's record."""
        return [self._step(ctx, "look"), ctx.run("book", self._book, ctx, tx=True)]

    def _book(self, connection: Connection, ctx: JobContext) -> str:
        self.effect_log.begins(ctx.job_id, "book")
        add_effect(connection, ctx.job_id)
        return f"{ctx.job_id}:book"
