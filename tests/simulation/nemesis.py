"""What kills, freezes and cuts off, by the seed."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from failsoft.job_engine.ports.clock import GRACE
from failsoft.job_engine.records.engine_switch import DisabledEngine
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.routing.guard import Guard, Trip
from failsoft.job_engine.records.routing.rule import RouteKind, RouteRule
from tests.simulation.jobs.definitions import QUEUE
from tests.simulation.processes.restarts import RestartedProcesses
from tests.simulation.scheduler import Process
from tests.simulation.shared_state import FALLBACK, PRIMARY, Kind, SharedState

#: The mean pause between two deeds, in seconds.
PAUSE = 2.5
#: The chance that a worker is struck while it works.
AT_WORK = 0.5
#: The chance that a pause is over after the next deed.
RESUMES = 0.5
#: How long the ledger is away at the most, and how often for longer than a lease.
SHORT_OUTAGE, LONG_OUTAGE, OUTLASTS = 12, 45, 0.2
#: By how much the ledger's clock is set ahead, and back, in seconds. A schedule that is declared
#: while it is back makes up for all that it takes for missed afterwards, job by job.
AHEAD, BACK = (90, 3600, 86_400, 3 * 86_400), (30, 90, 300)
NOW = timedelta(0)
#: An engine that no process of a run has.
NOWHERE = "kafka"


class Nemesis:
    """Lets something go wrong every few seconds, until the run is calm."""

    def __init__(self, shared: SharedState, processes: RestartedProcesses) -> None:
        self._shared = shared
        self._processes = processes

    def rage(self, seconds: float) -> None:
        """Let things go wrong for so long."""
        rng, scheduler = self._shared.faults.rng, self._shared.scheduler
        deeds = (
            *(self._kill, self._kill, self._freeze, self._freeze, self._starve, self._stop),
            *(self._cut_off_engine, self._cut_off_engine, self._forget, self._cut_off_ledger),
            *(self._pause, self._mark_a_living_worker),
            *self._deeds_of_kind(),
        )
        ends = scheduler.clock.steady() + seconds
        while scheduler.clock.steady() < ends:
            scheduler.sleep(rng.expovariate(self._shared.faults.severity / PAUSE))
            rng.choice(deeds)()
            if rng.random() < RESUMES:
                self._shared.resume()
            if self._shared.kind is Kind.ROUTES and rng.random() < RESUMES:
                self._shared.undo_routes()

    def calm(self) -> None:
        """Heal everything."""
        self._shared.faults.is_calm = True
        self._shared.resume()
        self._shared.undo_routes()
        self._shared.clock.set_right()
        if self._shared.clock.was_set:
            # Longer than a clock that was set is distrusted: by then the schedule goes on.
            self._shared.scheduler.sleep(2 * GRACE.total_seconds())
            self._shared.note_next_tick()
        self._shared.kept.pause_schedule(self._shared.jobs.ticking.name)
        self._shared.outage.end()
        for broker in self._shared.brokers.values():
            broker.away_until = 0.0
        for process in self._processes.processes():
            process.frozen_until = 0.0

    def _deeds_of_kind(self) -> Sequence[Callable[[], None]]:
        """Return what happens in some runs only, as these are about it."""
        return {
            Kind.CLOCK: (self._set_clock, self._set_clock, self._set_clock, self._set_clock),
            Kind.LEDGER: (self._forbid_writes, self._silence_ledger, self._split_ledger),
            Kind.ROUTES: (
                *(self._change_routes, self._change_routes, self._change_routes),
                *(self._drain_engine, self._pause_engine, self._take_share_away),
            ),
            Kind.PLAIN: (),
        }[self._shared.kind]

    def _set_clock(self) -> None:
        """Set the ledger's clock ahead or back by minutes, hours or days, for a while."""
        rng = self._shared.faults.rng
        jumps = rng.choice((tuple(-each for each in BACK), AHEAD, AHEAD))
        ahead = timedelta(seconds=rng.choice(jumps))
        self._shared.clock.set(ahead, rng.uniform(0.5, 25))
        self._shared.faults.notice(
            f"the ledger's clock was set {'ahead' if ahead > NOW else 'back'}"
        )

    def _forbid_writes(self) -> None:
        now, rng = self._shared.scheduler.clock.steady(), self._shared.faults.rng
        self._shared.outage.read_only_until = now + rng.uniform(0.5, 12)

    def _silence_ledger(self) -> None:
        now, rng = self._shared.scheduler.clock.steady(), self._shared.faults.rng
        self._shared.outage.silent_until = now + rng.uniform(1, 15)

    def _split_ledger(self) -> None:
        self._shared.faults.rng.choice(self._shared.ledgers).is_split = True

    def _kill(self) -> None:
        self._any_process().is_dead = True
        self._shared.faults.notice("a process was killed")

    def _freeze(self) -> None:
        now, rng = self._shared.scheduler.clock.steady(), self._shared.faults.rng
        self._any_process().frozen_until = now + rng.choice((2, 6, 20, 25, 40))
        self._shared.faults.notice("a process was frozen")

    def _starve(self) -> None:
        """Let job code hold the interpreter, so that no lease is renewed meanwhile (F17)."""
        busy = self._busy()
        if busy:
            rng = self._shared.faults.rng
            self._shared.scheduler.starve(rng.choice(busy), "slot", rng.uniform(5, 30), 5)
            self._shared.faults.notice("a lease keeper was starved")

    def _stop(self) -> None:
        serving = [worker for worker in self._processes.workers if not worker.is_stopping]
        if serving:
            self._shared.faults.rng.choice(serving).stop()
            self._shared.faults.notice("a worker was told to stop")

    def _cut_off_engine(self) -> None:
        now, rng = self._shared.scheduler.clock.steady(), self._shared.faults.rng
        broker = rng.choice(list(self._shared.brokers.values()))
        broker.hangs = rng.random() < 0.5
        broker.away_until = now + rng.uniform(1, 20)
        self._shared.faults.notice("an engine was away")

    def _forget(self) -> None:
        self._shared.faults.rng.choice(list(self._shared.brokers.values())).forget()

    def _cut_off_ledger(self) -> None:
        now, rng = self._shared.scheduler.clock.steady(), self._shared.faults.rng
        longest = LONG_OUTAGE if rng.random() < OUTLASTS else SHORT_OUTAGE
        self._shared.outage.until = now + rng.uniform(0.5, longest)

    def _mark_a_living_worker(self) -> None:
        """Take a worker for dead that lives: it loses what it has, and nothing else."""
        serving = [worker for worker in self._processes.workers if not worker.is_stopping]
        if serving:
            self._shared.kept.mark_dead(self._shared.faults.rng.choice(serving).record)
            self._shared.faults.notice("a living worker was taken for dead")

    def _pause(self) -> None:
        self._shared.pause()
        self._shared.faults.notice("the queue was paused")

    def _change_routes(self) -> None:
        """Lead jobs by other weights, perhaps to an engine that no process has."""
        rng = self._shared.faults.rng
        kind, name = rng.choice(self._matches())
        first, other = rng.sample((PRIMARY, FALLBACK, NOWHERE), 2)
        share = rng.choice((0, 20, 50, 80, 100))
        weights = {first: 100 - share, other: share}
        guard = Guard(0.05, timedelta(seconds=5)) if share else None
        self._shared.set_route(RouteRule(kind, name, weights, "a person", guard=guard))
        self._shared.faults.notice("the routes were changed")

    def _matches(self) -> Sequence[tuple[RouteKind, str]]:
        names = sorted(definition.name for definition in self._shared.jobs.catalogue)
        name = self._shared.faults.rng.choice(names)
        return ("default", ""), ("queue", QUEUE.name), ("job", name)

    def _take_share_away(self) -> None:
        """Do as a guard does that has found enough."""
        rules = self._shared.kept.routes()
        guarded = [(rule, name) for rule in rules if rule.guard for name in rule.guarded]
        if guarded:
            rule, engine = self._shared.faults.rng.choice(guarded)
            self._shared.kept.trip_route(rule, Trip(engine, "a guard"))
            self._shared.faults.notice("a share was taken away")

    def _drain_engine(self) -> None:
        engine = self._shared.faults.rng.choice((PRIMARY, FALLBACK))
        self._shared.kept.disable_engine(DisabledEngine(engine, "a person"))
        self._shared.kept.hasten(engine, QUEUE.name, NOW)
        self._shared.faults.notice("an engine was drained")

    def _pause_engine(self) -> None:
        engine = self._shared.faults.rng.choice((PRIMARY, FALLBACK))
        self._shared.kept.pause(Pause("engine", engine, "a person"))
        self._shared.faults.notice("an engine was paused")

    def _any_process(self) -> Process:
        rng = self._shared.faults.rng
        busy = self._busy()
        return rng.choice(busy if busy and rng.random() < AT_WORK else self._processes.processes())

    def _busy(self) -> list[Process]:
        return [worker.process for worker in self._processes.workers if not worker.is_idle()]
