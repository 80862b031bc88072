"""The rules that share jobs among engines, in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from failsoft.job_engine.ports.clock import SLACK
from failsoft.job_engine.records.job import HistoryEntry
from failsoft.job_engine.records.routing.deliveries import OFFERS, OfferFacts, deliveries
from failsoft.job_engine.records.routing.guard import Delivery, Trip
from failsoft.job_engine.records.routing.rule import KINDS, RouteKind, RouteRule
from failsoft.job_engine.records.states import REOFFER, JobState
from failsoft.testing.memory_ledger.reader import MemoryReader
from failsoft.testing.memory_ledger.rows import Row
from failsoft.testing.memory_ledger.store import action


class MemoryRoutes(MemoryReader):
    """`RouteLedger` in memory."""

    @action
    def set_route(self, rule: RouteRule, lasts: timedelta | None = None) -> RouteRule:
        """Set a rule in the place of the one for its match; return what holds now."""
        with self.transaction():
            now, before = self._store.clock.now(), self._holding(rule.match)
            kept = () if before is None else before.trips
            left = [trip.outlasting(now) for trip in kept if trip.engine in rule.weights]
            stored = self._store.routes.get(rule.match)
            self._store.routes[rule.match] = replace(
                rule,
                weights=dict(rule.weights),
                trips=tuple(trip for trip in left if trip is not None),
                since=now,
                until=None if lasts is None else now + lasts,
                revision=0 if stored is None else stored.revision + 1,
            )
            self._store.guard_turns.pop(rule.match, None)
            return self._store.routes[rule.match]

    @action
    def clear_route(self, kind: RouteKind, name: str) -> bool:
        """Forget a rule and its trips; return whether it was there and held."""
        with self.transaction():
            held = self._holding((kind, name)) is not None
            self._store.routes.pop((kind, name), None)
            return held

    def routes(self) -> Sequence[RouteRule]:
        """Return the rules that hold now, the strongest kind first."""
        with self.transaction():
            matches = sorted(self._store.routes, key=lambda m: (KINDS.index(m[0]), m[1]))
            found = (self._holding(match) for match in matches)
            return [rule for rule in found if rule is not None]

    def take_guard_turn(self, rule: RouteRule, every: timedelta) -> bool:
        """Take the next look at a guarded rule; False where another process took it."""
        with self.transaction():
            now, last = self._store.clock.now(), self._store.guard_turns.get(rule.match)
            is_due = last is None or last <= now - every or last > now + SLACK
            if not is_due or not self._is_as_seen(rule):
                return False
            self._store.guard_turns[rule.match] = now
            return True

    def deliveries(self, rule: RouteRule, engine: str, newest: int) -> Sequence[Delivery]:
        """Return what became of an engine's offers of the jobs that a rule matches."""
        with self.transaction():
            rows = [row for row in self._store.rows.values() if _is_since(row, rule)]
            rows.sort(key=lambda row: row.created_at, reverse=True)
            matching = (row for row in rows[:newest] if not row.engines and _fits(row, rule))
            offers = (offer for row in matching for offer in self._offers_of(row))
            return deliveries(offers, engine, self._store.clock.now())

    def trip_route(self, seen: RouteRule, trip: Trip) -> RouteRule | None:
        """Take a share away; None if the rule is no longer as it was seen (rule 4)."""
        with self.transaction():
            if not self._is_as_seen(seen):
                return None
            new = Trip(trip.engine, trip.reason, self._store.clock.now())
            changed = replace(seen, trips=(*seen.trips, new), revision=seen.revision + 1)
            self._store.routes[seen.match] = changed
            return changed

    def _holding(self, match: tuple[RouteKind, str]) -> RouteRule | None:
        now, rule = self._store.clock.now(), self._store.routes.get(match)
        if rule is None or (rule.until is not None and rule.until <= now):
            return None
        return replace(rule, trips=tuple(trip for trip in rule.trips if trip.holds(now)))

    def _is_as_seen(self, seen: RouteRule) -> bool:
        rule = self._holding(seen.match)
        return rule is not None and rule.revision == seen.revision

    def _offers_of(self, row: Row) -> Iterator[OfferFacts]:
        for event in self._store.history[row.id]:
            if event.kind in OFFERS and event.state is JobState.OFFERED:
                yield self._offer_facts(row, event)

    def _offer_facts(self, row: Row, event: HistoryEntry) -> OfferFacts:
        attempt = self._store.attempts[row.id].get(event.epoch)
        again = (each for each in self._store.history[row.id] if each.kind == REOFFER.name)
        reasons = {each.epoch: str(each.detail.get("reason") or "") for each in again}
        return OfferFacts(
            row.id,
            row.name,
            row.queue,
            row.tags,
            row.state,
            row.epoch,
            event.epoch,
            event.detail.get("engine") or "",
            event.at,
            None if attempt is None else attempt.started_at,
            None if attempt is None else attempt.outcome,
            reasons.get(event.epoch + 1),
        )


def _is_since(row: Row, rule: RouteRule) -> bool:
    return rule.since is not None and row.created_at >= rule.since


def _fits(row: Row, rule: RouteRule) -> bool:
    words = {"job": (row.name,), "queue": (row.queue,), "tag": row.tags, "default": ("",)}
    return rule.name in words[rule.kind]
