"""Which engine gets an offer, and why the others do not (docs/explain/architecture.md, step 2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from failsoft.dispatcher.offering.breaker import Breaker
from failsoft.dispatcher.offering.engines import EngineSet
from failsoft.dispatcher.offering.heartbeats import Beats
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.ports.control import ControlLedger
from failsoft.job_engine.ports.ledger import WorkerLedger
from failsoft.job_engine.ports.reach import Reach
from failsoft.job_engine.ports.routes import RouteLedger
from failsoft.job_engine.records.engine_switch import DisabledEngine
from failsoft.job_engine.records.job import DispatchTry, TryOutcome
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.routing.rule import (
    Routable,
    Rules,
    by_match,
    rule_of,
)

#: How old the list of live workers may be, in seconds.
FRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Route:
    """The engines to try, in order, and what was decided about the others.

    Attributes:
        by_rule: The rule whose choice the first engine is, for the history; empty where none is.
    """

    order: tuple[str, ...]
    skipped: tuple[DispatchTry, ...]
    by_rule: str = ""


class RoutingLedger(WorkerLedger, ControlLedger, RouteLedger, Protocol):
    """What routing needs of the ledger."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the ledger said of engines and queues at the last look.

    Attributes:
        served: The pairs of engine and queue that live workers serve.
        pauses: What is paused. A newer pause is enforced at the claim.
        disabled: The engines that get no offers from any process, by name: disabled, or paused.
        rules: The rules that share jobs among engines.
    """

    served: frozenset[tuple[str, str]] = frozenset()
    pauses: Sequence[Pause] = ()
    disabled: Mapping[str, DisabledEngine | Pause] = field(default_factory=dict)
    rules: Rules = field(default_factory=dict)

    @property
    def engines(self) -> frozenset[str]:
        """The engines that live workers serve."""
        return frozenset(engine for engine, _ in self.served)

    def is_paused(self, name: str, queue: str) -> bool:
        """Return whether a job of that name and queue may not begin."""
        return any(pause.covers(name, queue) for pause in self.pauses)


class LiveWorkers:
    """What the ledger says of engines and queues; what was read counts for a second (rule 24).

    Which queues live workers serve, by their heartbeats; what is paused, what is disabled, and by
    which rules jobs are shared.
    """

    def __init__(self, ledger: RoutingLedger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._beats = Beats(clock)
        self._seen = Seen()
        self._seen_at = float("-inf")

    def now(self) -> Seen:
        """Return what was read last, or a second ago at most."""
        if self._clock.steady() - self._seen_at > FRESH_SECONDS:
            beating = self._beats.fresh(self._ledger.live_workers())
            pauses = self._ledger.pauses()
            paused = {pause.name: pause for pause in pauses if pause.kind == "engine"}
            disabled = {each.name: each for each in self._ledger.disabled_engines()}
            self._seen = Seen(
                frozenset((worker.engine, worker.queue) for worker in beating),
                pauses,
                {**paused, **disabled},
                by_match(self._ledger.routes()),
            )
            self._seen_at = self._clock.steady()
        return self._seen

    def forget(self) -> None:
        """Read anew at the next call."""
        self._seen_at = float("-inf")


class Router:
    """Order the engines for one offer (rule 23).

    By the flag, the definition, the breakers, the workers; then by the rule that shares the job.
    """

    def __init__(
        self,
        preference: Sequence[str],
        disabled: Sequence[str],
        engines: EngineSet,
        live: LiveWorkers,
    ) -> None:
        """Keep the engines in order of preference.

        Args:
            preference: The primary first.
            disabled: Engines that get nothing from this process: `rq` where `USE_RQ` is false.
                Those that the ledger disables get nothing from any.
            engines: The engines with their breakers.
            live: The workers' heartbeats.
        """
        self._preference = tuple(preference)
        self._disabled = frozenset(disabled)
        self._engines = engines
        self._live = live
        self._undisturbed: tuple[Seen, dict[tuple[str, tuple[str, ...]], Route]] = (Seen(), {})

    def unknown(self, engines: Sequence[str]) -> tuple[str, ...]:
        """Return those of the engines that this program does not have."""
        return tuple(name for name in engines if name not in self._preference)

    def allowed(self, engines: Sequence[str]) -> tuple[str, ...]:
        """Return the engines that the flag and the definition leave, in order.

        Those that the ledger disables are among them: a job waits for those. A job that may only
        run on engines that this program does not have gets none.
        """
        order = [name for name in engines if name in self._preference]
        return tuple(
            name for name in (order if engines else self._preference) if name not in self._disabled
        )

    def is_others(self, engines: Sequence[str]) -> bool:
        """Return whether a job may only run on engines that this program does not have.

        This program then leaves it alone.
        """
        return bool(engines) and all(name not in self._preference for name in engines)

    def rules(self) -> Rules:
        """Return the rules that share jobs among engines, as they were read last."""
        return self._live.now().rules

    def reach(self) -> Reach:
        """Return which waiting jobs are this program's to offer."""
        others = self._live.now().engines.difference(self._preference)
        return Reach(frozenset(self._enabled(())), others)

    @property
    def has_usable(self) -> bool:
        """Whether any engine takes offers now."""
        return any(not self._engines.breaker(name).is_open for name in self._enabled(()))

    @property
    def is_steady(self) -> bool:
        """Whether jobs of one queue and the same engines are all routed alike for now.

        No rule shares them by their ids, and no engine gets its share by chance.
        """
        return self._is_steady(self._live.now())

    def _is_steady(self, seen: Seen) -> bool:
        return not seen.rules and self._engines.are_closed

    def is_paused(self, name: str, queue: str) -> bool:
        """Return whether a job of that name and queue is paused, and gets no offer."""
        return self._live.now().is_paused(name, queue)

    def serves(self, engine: str, queue: str) -> bool:
        """Return whether the engine gets offers of the queue: enabled, not broken, and served."""
        alive = self.is_alive(engine, queue)
        return alive and self._engines.blocking(engine, queue) is None

    def look_anew(self) -> None:
        """See what this process has just changed in the ledger, too."""
        self._live.forget()

    def is_alive(self, engine: str, queue: str) -> bool:
        """Return whether offers that the engine has taken may still be picked up.

        A full queue counts: it is served, though it takes no more.
        """
        enabled = engine in self._enabled(())
        usable = enabled and not self._engines.breaker(engine).is_open
        return usable and (engine, queue) in self._live.now().served

    def is_served(self, queue: str) -> bool:
        """Return whether a live worker serves a queue, on whichever engine."""
        return any(served == queue for _, served in self._live.now().served)

    def is_off(self, engine: str) -> bool:
        """Return whether an engine gets no offers as a person decided so, here or in the ledger."""
        return bool(self._why_disabled(engine, self._live.now()))

    def deserted(self, queue: str) -> tuple[str, ...]:
        """Return the engines that are disabled, or served by no live worker, where others are."""
        enabled, served_now = self._enabled(()), self._live.now().served
        served = [name for name in enabled if (name, queue) in served_now]
        return tuple(name for name in self._preference if served and name not in served)

    def route(self, job: Routable, *, epoch: int = 1, avoid: str | None = None) -> Route:
        """Decide about one offer.

        Args:
            job: The job, or the one that is about to be recorded.
            epoch: The epoch that the offer will have; kept in what was skipped.
            avoid: The engine that just lost the job: tried last.
        """
        seen = self._live.now()
        if epoch != 1 or avoid is not None or not self._is_steady(seen):
            return self._route(job, epoch, avoid, seen)
        # Nothing of the job but its queue and its engines decides then.
        kept = self._undisturbed
        if kept[0] is not seen:
            kept = self._undisturbed = (seen, {})
        key = (job.queue, tuple(job.engines))
        route = kept[1].get(key)
        if route is None:
            route = kept[1][key] = self._route(job, epoch, avoid, seen)
        return route

    def _route(self, job: Routable, epoch: int, avoid: str | None, seen: Seen) -> Route:
        queue = job.queue
        allowed = self._enabled(job.engines, seen)
        broken = {name: self._engines.blocking(name, queue) for name in allowed}
        usable = [name for name in allowed if broken[name] is None]
        served = [name for name in usable if (name, queue) in seen.served]
        rule = rule_of(job, seen.rules) if seen.rules else None
        chosen = None if rule is None else rule.choice(job.id)

        def rank(name: str) -> tuple[bool, bool, bool, bool]:
            lost_it = name == avoid and len(served) > 1
            return (
                bool(served) and name not in served,
                lost_it,
                not self._engines.admits(name, queue),
                # Never first where it cannot take the job: weights lead to no dead end.
                name != chosen,
            )

        order = tuple(sorted(usable, key=rank))
        by_rule = f"route of {rule.covered()}" if rule and order[:1] == (chosen,) else ""
        return Route(order, self._explain(broken, served, epoch, seen), by_rule)

    def _explain(
        self,
        broken: Mapping[str, Breaker | None],
        served: Sequence[str],
        epoch: int,
        seen: Seen,
    ) -> tuple[DispatchTry, ...]:
        """Say why engines get no offer, or only after the others."""
        skipped = [
            _skip(name, epoch, "flag", why)
            for name in self._preference
            if (why := self._why_disabled(name, seen))
        ]
        skipped += [
            _skip(name, epoch, "breaker", breaker.reason)
            for name, breaker in broken.items()
            if breaker is not None
        ]
        skipped += [
            _skip(name, epoch, "workers", "no live worker")
            for name, breaker in broken.items()
            if breaker is None and served and name not in served
        ]
        return tuple(skipped)

    def _enabled(self, engines: Sequence[str], seen: Seen | None = None) -> tuple[str, ...]:
        """Return those of the allowed engines that get offers now."""
        allowed, disabled = self.allowed(engines), (seen or self._live.now()).disabled
        return tuple(name for name in allowed if name not in disabled) if disabled else allowed

    def _why_disabled(self, engine: str, seen: Seen) -> str:
        if engine in self._disabled:
            return "switched off"
        return str(seen.disabled[engine]) if engine in seen.disabled else ""


def _skip(engine: str, epoch: int, stage: str, reason: str) -> DispatchTry:
    return DispatchTry(engine, epoch, stage, TryOutcome.SKIPPED, reason)
