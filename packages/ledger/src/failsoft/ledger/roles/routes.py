"""The rules that share jobs among engines, and what became of a share."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    bindparam,
    case,
    delete,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.sql.elements import ColumnElement

from failsoft.job_engine.ports.clock import SLACK
from failsoft.job_engine.records.job import HistoryEntry
from failsoft.job_engine.records.routing.deliveries import OFFERS, OfferFacts, deliveries
from failsoft.job_engine.records.routing.guard import Delivery, Guard, Trip
from failsoft.job_engine.records.routing.rule import KINDS, RouteKind, RouteRule
from failsoft.job_engine.records.states import REOFFER, JobState
from failsoft.ledger.database.compiled import AnyRow, read
from failsoft.ledger.database.inserts import insert_into
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.timestamps import instant, microseconds, now_us, stored
from failsoft.ledger.schema import packed_events
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import attempts, routes
from failsoft.ledger.transitions.histories import histories

_NOW = select(now_us())
#: What is read of a job that an engine may have been offered.
_RECENT = (
    *("id", "name", "queue", "tags", "engines", "state", "epoch"),
    *("created_at", "events", "history"),
)
#: Of how many jobs the attempts are read at once.
_AT_ONCE = 500
_ONE = (routes.c.kind == bindparam("at_kind"), routes.c.name == bindparam("at_name"))
_HOLDS: ColumnElement[bool] = or_(routes.c.until.is_(None), routes.c.until > now_us())
_ALL = (
    select(*routes.c, now_us().label("now"))
    .where(_HOLDS)
    .order_by(case({kind: n for n, kind in enumerate(KINDS)}, value=routes.c.kind), routes.c.name)
)
_FIND = select(*routes.c, now_us().label("now")).where(*_ONE)
_OVER = delete(routes).where(~_HOLDS)
_AS_SEEN = (*_ONE, routes.c.revision == bindparam("at_revision"), _HOLDS)
_TRIP = (
    update(routes)
    .where(*_AS_SEEN)
    .values(trips=bindparam("to_trips"), revision=routes.c.revision + 1)
)
#: A look that lies ahead was noted while the clock was: it keeps none from looking.
_TURN = (
    update(routes)
    .where(
        *_AS_SEEN,
        or_(
            routes.c.checked_at.is_(None),
            routes.c.checked_at <= now_us() - bindparam("every"),
            routes.c.checked_at > now_us() + microseconds(SLACK),
        ),
    )
    .values(checked_at=now_us())
)


class SqlRoutes(SqlRole):
    """`RouteLedger` on SQL."""

    def set_route(self, rule: RouteRule, lasts: timedelta | None = None) -> RouteRule:
        """Set a rule in the place of the one for its match; return what holds now."""
        return self._database.write(lambda connection: _set(connection, rule, lasts))

    def clear_route(self, kind: RouteKind, name: str) -> bool:
        """Forget a rule and its trips; return whether it was there and held."""

        def work(connection: Connection) -> bool:
            connection.execute(_OVER)
            found = connection.execute(delete(routes).where(*_ONE), _at(kind, name))
            return found.rowcount == 1

        return self._database.write(work)

    def routes(self) -> Sequence[RouteRule]:
        """Return the rules that hold now, the strongest kind first."""
        return [_rule(row) for row in self._database.ask(lambda c: read(c, _ALL))]

    def take_guard_turn(self, rule: RouteRule, every: timedelta) -> bool:
        """Take the next look at a guarded rule; False where another process took it."""
        seen = _seen(rule) | {"every": microseconds(every)}
        return self._database.write(lambda c: c.execute(_TURN, seen).rowcount == 1)

    def deliveries(self, rule: RouteRule, engine: str, newest: int) -> Sequence[Delivery]:
        """Return what became of an engine's offers of the jobs that a rule matches."""

        def work(connection: Connection) -> tuple[Sequence[OfferFacts], datetime]:
            now = instant(connection.execute(_NOW).scalar_one())
            found = connection.execute(_recent(rule, engine, newest)).all()
            matching = [row for row in found if _matches(rule, row)]
            return list(_offers(connection, matching, engine)), now

        offers, now = self._database.read(work)
        return deliveries(offers, engine, now)

    def trip_route(self, seen: RouteRule, trip: Trip) -> RouteRule | None:
        """Take a share away; None if the rule is no longer as it was seen (rule 4)."""

        def work(connection: Connection) -> RouteRule | None:
            now = instant(connection.execute(_NOW).scalar_one())
            trips = (*seen.trips, Trip(trip.engine, trip.reason, now))
            changed = connection.execute(_TRIP, _seen(seen) | {"to_trips": _trips_text(trips)})
            if changed.rowcount != 1:
                return None
            return _rule(connection.execute(_FIND, _at(*seen.match)).one())

        return self._database.write(work)


def _set(connection: Connection, rule: RouteRule, lasts: timedelta | None) -> RouteRule:
    connection.execute(_OVER)
    now = instant(connection.execute(_NOW).scalar_one())
    before = connection.execute(_FIND.with_for_update(), _at(*rule.match)).one_or_none()
    kept = () if before is None else _rule(before).trips
    left = [trip.outlasting(now) for trip in kept if trip.engine in rule.weights]
    values: dict[str, Any] = {
        "kind": rule.kind,
        "name": rule.name,
        # Pairs: the order of an object is no part of JSON.
        "weights": json.dumps(list(rule.weights.items())),
        "guard": None if rule.guard is None else _guard_text(rule.guard),
        "trips": _trips_text([trip for trip in left if trip is not None]),
        "actor": rule.actor,
        "reason": rule.reason,
        "since": now,
        "until": None if lasts is None else now + lasts,
        "checked_at": None,
    }
    new = insert_into(connection.dialect.name, routes).values(values | {"revision": 0})
    # What another process saw of the rule before is void.
    changed = values | {"revision": routes.c.revision + 1}
    connection.execute(
        new.on_conflict_do_update(index_elements=[routes.c.kind, routes.c.name], set_=changed)
    )
    return _rule(connection.execute(_FIND, _at(*rule.match)).one())


def _at(kind: str, name: str) -> Mapping[str, str]:
    return {"at_kind": kind, "at_name": name}


def _seen(rule: RouteRule) -> dict[str, Any]:
    return {**_at(*rule.match), "at_revision": rule.revision}


def _rule(row: AnyRow) -> RouteRule:
    trips = (_trip(fields) for fields in json.loads(row.trips))
    return RouteRule(
        row.kind,
        row.name,
        dict(json.loads(row.weights)),
        row.actor,
        row.reason,
        guard=None if row.guard is None else _guard(json.loads(row.guard)),
        trips=tuple(trip for trip in trips if trip.holds(instant(row.now))),
        since=row.since,
        until=row.until,
        revision=row.revision,
    )


def _guard_text(guard: Guard) -> str:
    wait = None if guard.wait is None else microseconds(guard.wait)
    return json.dumps({"failures": guard.failures, "wait": wait})


def _guard(fields: Mapping[str, Any]) -> Guard:
    wait = fields["wait"]
    return Guard(fields["failures"], None if wait is None else timedelta(microseconds=wait))


def _trips_text(trips: Sequence[Trip]) -> str:
    return json.dumps(
        [
            {
                "engine": trip.engine,
                "reason": trip.reason,
                "at": trip.at and stored(trip.at),
                "until": trip.until and stored(trip.until),
            }
            for trip in trips
        ]
    )


def _trip(fields: Mapping[str, Any]) -> Trip:
    at, until = (fields[name] and instant(fields[name]) for name in ("at", "until"))
    return Trip(fields["engine"], fields["reason"], at, until)


def _recent(rule: RouteRule, engine: str, newest: int) -> Any:
    """Select those of the newest jobs that a rule may match and an engine may have been offered."""
    # Limited first: however few of the jobs a rule matches, a look costs the same.
    recent = (
        select(*(jobs.c[name] for name in _RECENT))
        .where(jobs.c.created_at >= rule.since)
        .order_by(jobs.c.created_at.desc())
        .limit(newest)
        .subquery()
    )
    columns = {"job": recent.c.name, "queue": recent.c.queue}
    # As JSON has it; what is found so is compared as a value, too.
    named = recent.c.history.contains(json.dumps(engine), autoescape=True)
    elsewhere = or_(recent.c.history.is_(None), recent.c.events > packed_events.MOST)
    return select(*recent.c).where(
        columns[rule.kind] == rule.name if rule.kind in columns else true(),
        recent.c.engines == "[]",
        or_(named, elsewhere),
    )


def _offers(connection: Connection, found: Sequence[AnyRow], engine: str) -> Iterator[OfferFacts]:
    """Read the offers of some jobs to an engine, with the attempts that they led to."""
    happened, tried = histories(connection, found), _attempts(connection, found)
    for job in found:
        again = {each.epoch: each for each in happened[job.id] if each.kind == REOFFER.name}
        for offer in happened[job.id]:
            is_offer = offer.kind in OFFERS and offer.state is JobState.OFFERED
            if is_offer and offer.detail.get("engine") == engine:
                attempt = tried.get((job.id, offer.epoch))
                yield _facts(job, offer, attempt, again.get(offer.epoch + 1))


def _attempts(connection: Connection, found: Sequence[AnyRow]) -> Mapping[tuple[str, int], AnyRow]:
    wanted = [attempts.c[n] for n in ("job_id", "epoch", "started_at", "outcome")]
    ids = [row.id for row in found]
    tried: dict[tuple[str, int], AnyRow] = {}
    for first in range(0, len(ids), _AT_ONCE):
        among = attempts.c.job_id.in_(ids[first : first + _AT_ONCE])
        for row in connection.execute(select(*wanted).where(among)):
            tried[row.job_id, row.epoch] = row
    return tried


def _facts(
    job: AnyRow, offer: HistoryEntry, attempt: AnyRow | None, again: HistoryEntry | None
) -> OfferFacts:
    return OfferFacts(
        job.id,
        job.name,
        job.queue,
        tuple(json.loads(job.tags)),
        JobState(job.state),
        job.epoch,
        offer.epoch,
        offer.detail["engine"],
        offer.at,
        None if attempt is None else attempt.started_at,
        None if attempt is None else attempt.outcome,
        None if again is None else str(again.detail.get("reason") or ""),
    )


def _matches(rule: RouteRule, job: AnyRow) -> bool:
    return rule.kind != "tag" or rule.name in json.loads(job.tags)
