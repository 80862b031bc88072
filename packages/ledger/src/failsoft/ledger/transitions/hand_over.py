"""Handing over many offers in one statement: a compare-and-set for each of them (rule 4)."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Connection, Select, String, bindparam, func, select

from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.records.states import REOFFER
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.database.timestamps import microseconds
from failsoft.ledger.schema import packed_events
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.transitions import postgresql, statements
from failsoft.ledger.transitions.compare_and_set import Cause, event_detail, event_of

_COMPARED = ("id", "epoch", "revision")
_now = jobs.alias("now")


def _as_seen(seen: Any) -> Select[Any]:
    """Find the jobs that are as they were seen, by the columns `id`, `epoch` and `revision`."""
    same = [_now.c[name] == seen[name] for name in _COMPARED]
    # One that is being claimed or handed over at this moment is passed over: two rescuers that do
    # it at once must not wait for each other's rows.
    return select(_now.c.id).where(*same).with_for_update(skip_locked=True, of=_now)


def _of_lists() -> Any:
    types = (String, BigInteger, BigInteger)
    given: list[Any] = [
        bindparam(f"at_{n}", type_=ARRAY(t)) for n, t in zip(_COMPARED, types, strict=True)
    ]
    return func.unnest(*given).table_valued(*_COMPARED).render_derived().c


def _of_json() -> Any:
    each = func.json_each(bindparam("at_seen", type_=String)).table_valued("value")
    return {n: func.json_extract(each.c.value, f"$[{i}]") for i, n in enumerate(_COMPARED)}


_ON_SQLITE = statements.reoffer_many(_as_seen(_of_json()))
_ON_POSTGRESQL = postgresql.change(
    statements.reoffer_many(_as_seen(_of_lists())), REOFFER, with_error=False
)


def reoffer_many(
    connection: Connection, seen: Sequence[JobRecord], plan: OfferPlan, actor: str
) -> Sequence[AnyRow]:
    """Offer jobs again that are as they were seen, with an event each; return what changed."""
    detail = {"engine": plan.engine, "from": seen[0].engine, "reason": plan.reason}
    happened = event_detail(REOFFER.name, Cause(actor, detail))
    values = {"to_engine": plan.engine, "to_pickup_by": microseconds(plan.pickup)}
    values |= {"packed": packed_events.rest(REOFFER.target, REOFFER.name, actor, detail)}
    compared = [(job.id, job.epoch, job.revision) for job in seen]
    if connection.dialect.name == "postgresql":
        lists = zip(_COMPARED, zip(*compared, strict=True), strict=True)
        values |= {f"at_{name}": list(column) for name, column in lists} | happened
        return connection.execute(_ON_POSTGRESQL, values).all()
    rows = connection.execute(_ON_SQLITE, values | {"at_seen": json.dumps(compared)}).all()
    unpacked = [event_of(row) | happened for row in rows if not row.is_packed]
    if unpacked:
        connection.execute(statements.INSERT_EVENT, unpacked)
    return rows
