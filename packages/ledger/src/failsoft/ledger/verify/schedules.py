"""Schedules, beside the jobs that their ticks have made."""

from collections.abc import Iterator, Mapping

from sqlalchemy import Connection, select

from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.invariants import schedules as schedules_invariants
from failsoft.job_engine.records.schedules import ScheduleRecord
from failsoft.ledger.database.timestamps import instant, now_us
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import schedules
from failsoft.ledger.upkeep.clock_doubt import spans
from failsoft.ledger.verify.streams import stream

_FIRED = select(jobs.c.id, jobs.c.name, jobs.c.idempotency_key, jobs.c.created_at).where(
    jobs.c.idempotency_key.is_not(None), jobs.c.idempotency_key.startswith("schedule:")
)


def out_of_step(connection: Connection) -> Iterator[Violation]:
    """Find schedules that would fire a tick again, or whose last job is none of theirs."""
    for schedule in _schedules(connection).values():
        yield from schedules_invariants.out_of_step(schedule)


def fired_wrongly(connection: Connection) -> Iterator[Violation]:
    """Find jobs of ticks that had not come, or that no schedule has noted."""
    known, unsure = _schedules(connection), spans(connection)
    for row in stream(connection, _FIRED) if known else ():
        fired = schedules_invariants.Fired(*row)
        tick = fired.tick
        if tick is not None and tick[0] in known:
            yield from schedules_invariants.fired_wrongly(known[tick[0]], fired, unsure)


def _schedules(connection: Connection) -> Mapping[str, ScheduleRecord]:
    found = connection.execute(select(*schedules.c)).all()
    now = instant(connection.execute(select(now_us())).scalar_one())
    return {row.name: rows.schedule_record(row, now) for row in found}
