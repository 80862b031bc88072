"""What the code of every job is made of: steps whose work is logged and takes its time."""

from pydantic import BaseModel

from failsoft.job_engine.records.groups import GroupResult
from failsoft.job_engine.steps.context import JobContext
from tests.simulation.fault_rates import FaultRates
from tests.simulation.jobs.effect_log import EffectLog
from tests.simulation.scheduler import TaskScheduler

#: How long a piece of work takes, in seconds.
WORK = (0.2, 1, 1, 3, 6, 10)
#: The chance that risky work fails.
ERRS = 0.7


class Order(BaseModel):
    """What a job is to do.

    Attributes:
        number: Distinguishes requests.
        customer: For whom it is.
        before: The result of the job before it in its chain.
        group: How the jobs of its group ended, if it is the one that completes it.
    """

    number: int = 0
    customer: int = 0
    before: list[str] | None = None
    group: GroupResult | None = None


class Bodies:
    """The parts of jobs.

    Attributes:
        effect log: Who sees what they do.
    """

    def __init__(self, scheduler: TaskScheduler, faults: FaultRates) -> None:
        self.effect_log = EffectLog(scheduler)
        self._scheduler = scheduler
        self._faults = faults

    def _step(self, ctx: JobContext, name: str) -> str:
        return ctx.run(name, self._worked, ctx, name)

    def _risky(self, ctx: JobContext, name: str) -> str:
        """Run a step that raises sometimes."""

        def fail_sometimes() -> str:
            self._work(ctx, name)
            if self._faults.strikes(ERRS):
                raise ValueError("no luck")
            return f"{ctx.job_id}:{name}"

        return ctx.run(name, fail_sometimes)

    def _worked(self, ctx: JobContext, name: str) -> str:
        self._work(ctx, name)
        return f"{ctx.job_id}:{name}"

    def _work(self, ctx: JobContext, name: str) -> None:
        self.effect_log.begins(ctx.job_id, name)
        self._scheduler.sleep(self._faults.rng.choice(WORK))
        self._scheduler.moment()
        self.effect_log.ends(ctx.job_id, name)
