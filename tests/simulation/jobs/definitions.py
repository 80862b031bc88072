"""The jobs of a simulation."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tenacity import wait_fixed

from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.job_engine.definitions.decorators import job
from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.policies.limits import Concurrency
from failsoft.job_engine.policies.queue import QueueProfile, declare_queue
from failsoft.job_engine.policies.retry import RetryPolicy
from failsoft.job_engine.policies.schedule import Every
from failsoft.job_engine.policies.uniqueness import Debounce, Unique
from failsoft.job_engine.records.failure import JobFailure
from failsoft.job_engine.steps.context import JobContext
from tests.simulation.fault_rates import FaultRates
from tests.simulation.jobs.bodies import ERRS, WORK, Order
from tests.simulation.jobs.waits import Definition, WaitingBodies
from tests.simulation.scheduler import TaskScheduler

QUEUE = declare_queue(
    QueueProfile(
        "simulated",
        slots=2,
        lease=timedelta(seconds=8),
        pickup=timedelta(seconds=4),
        timeout=timedelta(seconds=40),
    )
)
RETRY = RetryPolicy(max_attempts=3, wait=wait_fixed(2))
NAP = timedelta(seconds=3)
#: The chance that poison kills.
KILLS = 0.8
OFTEN = ("plain", "bare", "flaky", "doubtful", "booking")
TICKS = Every(timedelta(seconds=9), missed="all")

Body = Callable[[JobContext], list[str]]


class Jobs(WaitingBodies):
    """Every kind of job.

    Attributes:
        hook: What each failure of the others sets off.
        one_each: At most one for each customer is there at a time.
        the_last: Of those for a customer that come in a row, only the last runs.
        the_newest: It works on what it was last dispatched with.
        one_at_once: At most one for each customer runs at a time.
        ticking: A schedule makes it.
        plain: They never wait for a person, so that others may wait for them.
    """

    def __init__(
        self, scheduler: TaskScheduler, faults: FaultRates, *, books: bool = False
    ) -> None:
        super().__init__(scheduler, faults)
        self.hook = self._define_hook()
        self.errand = self._define(self._errand)
        self.plain = [self._define(body) for body in (self._plain, self._sleepy, self._flaky)]
        others = (
            *(self._bare, self._changed, self._careless, self._poison),
            *(self._listening, self._sending, self._doubtful, self._verified),
            *((self._booking,) if books else ()),
        )
        self.definitions = [*self.plain, *(self._define(body) for body in others)]
        by = ("customer",)
        # It fails at once, so that many are tried again.
        self.one_each = self._define(
            self._one_each, unique=Unique(by=by), retry=RetryPolicy(max_attempts=1)
        )
        debounce = Debounce(by=by, period=timedelta(seconds=4), max_wait=timedelta(seconds=12))
        self.the_last = self._define(self._the_last, debounce=debounce)
        self.the_newest = self._define(self._the_newest)
        limit = Concurrency(limit=1, by=by)
        self.one_at_once = self._define(self._one_at_once, concurrency=limit)
        self.ticking = self._define(self._ticking, schedule=TICKS)
        special = (self.one_each, self.the_last, self.the_newest, self.one_at_once, self.ticking)
        self.catalogue = Catalogue([*self.definitions, *special, self.errand, self.hook])

    def any(self) -> Definition:
        """Return any of them; more often one whose end is not checked step by step."""
        rng = self._faults.rng
        weights = [3 if definition.name in OFTEN else 1 for definition in self.definitions]
        return rng.choices(self.definitions, weights)[0]

    def _define(self, body: Body, **options: Any) -> Definition:
        def handler(payload: Order, ctx: JobContext) -> list[str]:
            self.effect_log.starts(ctx.job_id, payload.number)
            return body(ctx)

        name = body.__name__.strip("_")
        options = {"queue": QUEUE.name, "retry": RETRY, "on_failure": self.hook, **options}
        definition: Definition = job(name=name, **options)(handler)
        return definition

    def _define_hook(self) -> JobDefinition[JobFailure, list[str]]:
        @job(name="hook", queue=QUEUE.name, retry=RETRY)
        def hook(payload: JobFailure, ctx: JobContext) -> list[str]:
            self.effect_log.starts(ctx.job_id, 0)
            return [self._step(ctx, "tell")]

        return hook

    def _plain(self, ctx: JobContext) -> list[str]:
        done = []
        for name in ("fetch", "change", "send"):
            # Between two steps an attempt may lose its job, and learns it at the next (R9).
            self._scheduler.sleep(self._faults.rng.choice(WORK))
            done.append(self._step(ctx, name))
        return done

    def _bare(self, ctx: JobContext) -> list[str]:
        """Work without a step, so that nothing is checked before the end; raise sometimes."""
        self._work(ctx, "all")
        if self._faults.strikes(ERRS):
            raise ValueError("no luck")
        return []

    def _sleepy(self, ctx: JobContext) -> list[str]:
        before = self._step(ctx, "ask")
        ctx.sleep("wait", NAP)
        return [before, self._step(ctx, "look")]

    def _flaky(self, ctx: JobContext) -> list[str]:
        return [self._step(ctx, "prepare"), self._risky(ctx, "risky")]

    def _changed(self, ctx: JobContext) -> list[str]:
        """Run other steps in every other attempt, as a deploy may make it."""
        names = ("old", "last") if ctx.attempt % 2 else ("new", "last")
        return [self._step(ctx, name) for name in names]

    def _careless(self, ctx: JobContext) -> list[str]:
        """Catch everything, and go on."""
        done = []
        for name in ("one", "two"):
            try:
                done.append(self._step(ctx, name))
            except BaseException:  # noqa: BLE001 - what such jobs do
                self._scheduler.moment()
        return done

    def _poison(self, ctx: JobContext) -> list[str]:
        """Take the whole process along, most times."""

        def swallow() -> str:
            self._work(ctx, "swallow")
            if self._faults.rng.random() < KILLS:
                self._faults.notice("a job killed its process")
                self._scheduler.current().process.is_dead = True
                self._scheduler.moment()
            return f"{ctx.job_id}:swallow"

        return [self._step(ctx, "taste"), ctx.run("swallow", swallow)]

    def _one_each(self, ctx: JobContext) -> list[str]:
        return [self._risky(ctx, "only")]

    def _the_last(self, ctx: JobContext) -> list[str]:
        return [self._step(ctx, "last")]

    def _the_newest(self, ctx: JobContext) -> list[str]:
        return [self._step(ctx, "newest"), self._risky(ctx, "again")]

    def _one_at_once(self, ctx: JobContext) -> list[str]:
        return [self._step(ctx, "alone"), self._risky(ctx, "still alone")]

    def _ticking(self, ctx: JobContext) -> list[str]:
        return [self._step(ctx, "tick")]
