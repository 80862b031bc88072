"""The jobs of a simulation, and the witness of what their code did."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from pydantic import BaseModel
from tenacity import wait_fixed

from tests.simulation.baton import Conductor
from tests.simulation.weather import Weather
from understudy.job_engine.catalogue import Catalogue
from understudy.job_engine.context import JobContext
from understudy.job_engine.declaring import job
from understudy.job_engine.definition import JobDefinition
from understudy.job_engine.queues import QueueProfile, declare_queue
from understudy.job_engine.retry import RetryPolicy

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
#: The chance that risky work fails.
ERRS = 0.5
#: The chance that poison kills.
KILLS = 0.8
OFTEN = ("plain", "bare", "flaky")
#: How long a piece of work takes, in seconds.
WORK = (0.2, 1, 1, 3, 6, 10)

Definition = JobDefinition["Order", list[str]]


class Order(BaseModel):
    """What a job is asked to do."""

    number: int


class Jobs:
    """Every kind of job, each piece of whose work is witnessed outside the ledger.

    Attributes:
        begun: How often the work of a step began, by job and step.
    """

    def __init__(self, conductor: Conductor, weather: Weather) -> None:
        self.begun: Counter[tuple[str, str]] = Counter()
        self._conductor = conductor
        self._weather = weather
        bodies = (
            *(self._plain, self._bare, self._sleepy, self._flaky),
            *(self._changed, self._careless, self._poison),
        )
        self.definitions = [self._define(body) for body in bodies]
        self.catalogue = Catalogue(self.definitions)

    def any(self) -> Definition:
        """Return any of them; more often one whose end is not asked for step by step."""
        rng = self._weather.rng
        weights = [3 if definition.name in OFTEN else 1 for definition in self.definitions]
        return rng.choices(self.definitions, weights)[0]

    def _define(self, body: Callable[[JobContext], list[str]]) -> Definition:
        def handler(payload: Order, ctx: JobContext) -> list[str]:
            return body(ctx)

        name = body.__name__.strip("_")
        definition: Definition = job(queue=QUEUE.name, name=name, retry=RETRY)(handler)
        return definition

    def _plain(self, ctx: JobContext) -> list[str]:
        done = []
        for name in ("fetch", "change", "send"):
            # Between two steps an attempt may lose its job, and learns it at the next (R9).
            self._conductor.sleep(self._weather.rng.choice(WORK))
            done.append(self._step(ctx, name))
        return done

    def _bare(self, ctx: JobContext) -> list[str]:
        """Work without a step, so that nothing is asked before the end."""
        self._work(ctx, "all")
        return []

    def _sleepy(self, ctx: JobContext) -> list[str]:
        before = self._step(ctx, "ask")
        ctx.sleep("wait", NAP)
        return [before, self._step(ctx, "look")]

    def _flaky(self, ctx: JobContext) -> list[str]:
        def fail_sometimes() -> str:
            self._work(ctx, "risky")
            if self._weather.strikes(ERRS):
                raise ValueError("no luck")
            return f"{ctx.job_id}:risky"

        return [self._step(ctx, "prepare"), ctx.run("risky", fail_sometimes)]

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
                self._conductor.moment()
        return done

    def _poison(self, ctx: JobContext) -> list[str]:
        """Take the whole process along, most times."""

        def swallow() -> str:
            self._work(ctx, "swallow")
            if self._weather.rng.random() < KILLS:
                self._weather.notice("a job killed its process")
                self._conductor.current().process.is_dead = True
                self._conductor.moment()
            return f"{ctx.job_id}:swallow"

        return [self._step(ctx, "taste"), ctx.run("swallow", swallow)]

    def _step(self, ctx: JobContext, name: str) -> str:
        def work() -> str:
            self._work(ctx, name)
            return f"{ctx.job_id}:{name}"

        return ctx.run(name, work)

    def _work(self, ctx: JobContext, name: str) -> None:
        self.begun[ctx.job_id, name] += 1
        self._conductor.sleep(self._weather.rng.choice(WORK))
        self._conductor.moment()
