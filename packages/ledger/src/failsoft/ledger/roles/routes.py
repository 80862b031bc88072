"""The rules that share jobs among engines, and what became of a share."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    and_,
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
from failsoft.job_engine.records.routing.deliveries import OFFERS, OfferFacts, deliveries
from failsoft.job_engine.records.routing.guard import Delivery, Guard, Trip
from failsoft.job_engine.records.routing.rule import KINDS, RouteKind, RouteRule
from failsoft.job_engine.records.states import REOFFER, JobState
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.database.inserts import insert_into
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.timestamps import instant, microseconds, now_us, stored
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import attempts, events, routes

_NOW = select(now_us())
_again = events.alias("again")
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
        return [_rule(row) for row in self._database.read(lambda c: c.execute(_ALL).all())]

    def take_guard_turn(self, rule: RouteRule, every: timedelta) -> bool:
        """Take the next look at a guarded rule; False where another process took it."""
        seen = _seen(rule) | {"every": microseconds(every)}
        return self._database.write(lambda c: c.execute(_TURN, seen).rowcount == 1)

    def deliveries(self, rule: RouteRule, engine: str, newest: int) -> Sequence[Delivery]:
        """Return what became of an engine's offers of the jobs that a rule matches."""

        def work(connection: Connection) -> tuple[Sequence[AnyRow], datetime]:
            now = instant(connection.execute(_NOW).scalar_one())
            return connection.execute(_offers(rule, engine, newest)).all(), now

        rows, now = self._database.read(work)
        facts = (_facts(row) for row in rows)
        return deliveries((each for each in facts if _matches(rule, each)), engine, now)

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


def _offers(rule: RouteRule, engine: str, newest: int) -> Any:
    """Select an engine's offers of the newest jobs that a rule may match, with what followed."""
    # Limited first: however few of the jobs a rule matches, a look costs the same.
    recent = (
        select(
            *(jobs.c[name] for name in ("id", "name", "queue", "tags", "engines", "state")),
            jobs.c.epoch.label("job_epoch"),
        )
        .where(jobs.c.created_at >= rule.since)
        .order_by(jobs.c.created_at.desc())
        .limit(newest)
        .subquery()
    )
    columns = {"job": recent.c.name, "queue": recent.c.queue}
    its_attempt = (attempts.c.job_id == events.c.job_id) & (attempts.c.epoch == events.c.epoch)
    made_again = and_(
        _again.c.job_id == events.c.job_id,
        _again.c.epoch == events.c.epoch + 1,
        _again.c.kind == REOFFER.name,
    )
    return (
        select(
            *recent.c,
            *(events.c[name] for name in ("epoch", "detail", "at")),
            attempts.c.started_at,
            attempts.c.outcome,
            _again.c.detail.label("again"),
        )
        .select_from(
            recent.join(events, events.c.job_id == recent.c.id)
            .outerjoin(attempts, its_attempt)
            .outerjoin(_again, made_again)
        )
        .where(
            columns[rule.kind] == rule.name if rule.kind in columns else true(),
            recent.c.engines == "[]",
            events.c.kind.in_(OFFERS),
            events.c.state == JobState.OFFERED,
            # As the JSON of the detail has it; what is found so is compared as a value, too.
            events.c.detail.contains(json.dumps({"engine": engine})[1:-1], autoescape=True),
        )
    )


def _facts(row: AnyRow) -> OfferFacts:
    return OfferFacts(
        row.id,
        row.name,
        row.queue,
        tuple(json.loads(row.tags)),
        JobState(row.state),
        row.job_epoch,
        row.epoch,
        json.loads(row.detail).get("engine") or "",
        row.at,
        row.started_at,
        row.outcome,
        None if row.again is None else str(json.loads(row.again).get("reason") or ""),
    )


def _matches(rule: RouteRule, offer: OfferFacts) -> bool:
    return rule.kind != "tag" or rule.name in offer.tags
