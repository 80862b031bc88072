"""Judges the guarded shares of routes: any number of them, no leader, one look at a time (rule 25).

A turn in the ledger lets one process look at a rule every few seconds, whichever it is; a
compare-and-set on the rule as it was seen takes a share away once.
"""

from typing import Protocol

from failsoft.dispatcher.offering.router import Router
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.ports.routes import RouteLedger
from failsoft.job_engine.records.routing.guard import (
    FEW_JOBS,
    LOOK_EVERY,
    MOST_ATTEMPTS,
    NEWEST_JOBS,
    Guard,
    Trip,
    Verdict,
    judge,
)
from failsoft.job_engine.records.routing.rule import RouteKind, RouteRule, rule_of
from failsoft.job_engine.telemetry import Event, Listener


class GuardLedger(RouteLedger, Protocol):
    """What the guards need of the ledger."""


class RouteGuards:
    """Take the share of an engine away where more of its attempts went wrong than its guard allows.

    Nothing gives one back but a person who sets the rule again, and not within `HYSTERESIS`.
    """

    def __init__(
        self, ledger: GuardLedger, router: Router, *, clock: Clock, listener: Listener
    ) -> None:
        self._ledger = ledger
        self._router = router
        self._clock = clock
        self._listener = listener
        self._next: dict[tuple[RouteKind, str], float] = {}

    def tick(self) -> int:
        """Look at the rules whose turn this process gets; return how many shares were taken away.

        Raises:
            LedgerUnavailableError: The ledger is away.
        """
        return sum(self._look_at(rule) for rule in self._router.rules().values() if rule.guard)

    def _look_at(self, rule: RouteRule) -> int:
        now, guard = self._clock.steady(), rule.guard
        watched = [name for name in rule.guarded if not self._router.is_off(name)]
        if guard is None or not watched or now < self._next.get(rule.match, now):
            return 0
        self._next[rule.match] = now + LOOK_EVERY.total_seconds()
        if not self._ledger.take_guard_turn(rule, LOOK_EVERY):
            return 0
        tripped = 0
        for engine in watched:
            verdict = self._judge(rule, guard, engine)
            if not verdict.exceeds(guard):
                continue
            reason = f"{verdict.reason(guard)}; set it again with `{rule.command()}`"
            changed = self._ledger.trip_route(rule, Trip(engine, reason))
            if changed is None:
                break
            rule, tripped = changed, tripped + 1
            detail = {"route": rule.covered(), "reason": reason}
            self._listener(Event("route.tripped", engine=engine, detail=detail))
        return tripped

    def _judge(self, rule: RouteRule, guard: Guard, engine: str) -> Verdict:
        rules, verdict = self._router.rules(), Verdict(0, 0, 0)
        for newest in (FEW_JOBS, NEWEST_JOBS):
            found = self._ledger.deliveries(rule, engine, newest)
            # What a stronger rule covers was not shared by this one.
            verdict = judge(guard, (e for e in found if _is_of(rule, rule_of(e, rules))))
            if verdict.attempts >= MOST_ATTEMPTS:
                break
        return verdict


def _is_of(rule: RouteRule, found: RouteRule | None) -> bool:
    return found is not None and found.match == rule.match
