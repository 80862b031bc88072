"""The measures of all processes, and what an exporter reads beside them."""

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import (
    BigInteger,
    Connection,
    Table,
    case,
    cast,
    func,
    literal,
    select,
    text,
)

from failsoft.job_engine.ports.measures import Batch, Ended, Failed, Figures, Series, TableSize
from failsoft.job_engine.records.job import StepKind
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.compiled import AnyRow, AnySelect
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.timestamps import instant, now_us
from failsoft.ledger.roles import lists
from failsoft.ledger.schema.columns import PREFIX, metadata
from failsoft.ledger.schema.jobs import IS_LIMITED, by_itself, in_state, jobs
from failsoft.ledger.schema.tables import aggregates, measures, notices, steps
from failsoft.ledger.transitions.measures import BATCH, add, notice_series

_NOW = select(now_us())
_SERIES = tuple(measures.c[name] for name in Series._fields)
_COUNTS = (
    select(*_SERIES, cast(func.sum(measures.c.count), BigInteger))
    .where(measures.c.measure != BATCH)
    .group_by(*_SERIES)
)
_END = (aggregates.c.name, aggregates.c.queue, aggregates.c.engine, aggregates.c.outcome)
_ENDED = select(*_END, cast(func.sum(aggregates.c.count), BigInteger)).group_by(*_END)
# By themselves: SQLite goes through the index of all jobs by their queues and names otherwise.
_DEAD = (by_itself(jobs.c.name), by_itself(jobs.c.queue))
_FAILED = select(*_DEAD, func.count()).where(in_state(JobState.FAILED)).group_by(*_DEAD)
_NOTICES = select(notices.c.kind, notices.c.engine, func.count()).group_by(
    notices.c.kind, notices.c.engine
)
_LIMITED = (
    select(jobs.c.name, func.count())
    .where(in_state(JobState.SCHEDULED), IS_LIMITED, jobs.c.run_at <= now_us())
    .group_by(jobs.c.name)
)
_CHILDREN = jobs.alias()
# Looked up for each job, as below: of an EXISTS PostgreSQL without statistics makes a join, or it
# reads all rows that the EXISTS may be of, which goes through every job.
_INVOKED = (
    select(literal(1))
    .where(_CHILDREN.c.parent_id == jobs.c.id, _CHILDREN.c.finished_at.is_(None))
    .limit(1)
    .correlate(jobs)
    .scalar_subquery()
    .is_not(None)
)
_KIND = case((_INVOKED, "job"), else_="event").label("kind")
_WAITS = (
    select(_KIND, func.count())
    .where(jobs.c.awaits.is_not(None), by_itself(jobs.c.state) == JobState.SCHEDULED)
    .group_by(text("kind"))
)
#: It ended the last attempt: the next one has another epoch.
_FELL_ASLEEP = (
    select(literal(1))
    .where(
        steps.c.job_id == jobs.c.id, steps.c.kind == StepKind.SLEEP, steps.c.epoch == jobs.c.epoch
    )
    .limit(1)
    .correlate(jobs)
    .scalar_subquery()
    .is_not(None)
)
_ASLEEP = select(literal("sleep"), func.count()).where(
    in_state(JobState.SCHEDULED), jobs.c.claims > 0, jobs.c.awaits.is_(None), _FELL_ASLEEP
)
_SQLITE_BYTES = text("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
# What was never analysed has no estimate in the catalogue, and one in the statistics.
_POSTGRESQL_SIZES = text(
    "SELECT relname, CASE WHEN reltuples < 0 THEN pg_stat_get_live_tuples(oid) ELSE reltuples END,"
    " pg_total_relation_size(oid) FROM pg_class WHERE relkind = 'r'"
    " AND relnamespace = current_schema()::regnamespace AND starts_with(relname, :prefix)"
)


class SqlMeasures(SqlRole):
    """`MeasureLedger` on SQL."""

    def add_measures(self, batch: Batch) -> None:
        """Add the differences of a process; repeating it is harmless."""
        self._database.write(lambda connection: add(connection, batch))

    def figures(self) -> Figures:
        """Return what an exporter reads, in one transaction."""
        return self._database.snapshot(_figures)

    def sizes(self) -> Sequence[TableSize]:
        """Return how large the tables are; on a large SQLite file it takes seconds."""
        return self._database.read(_sizes)


def _figures(connection: Connection) -> Figures:
    lists.go_by_index_alone(connection)
    found: Sequence[AnyRow] = connection.execute(_COUNTS).all()
    counts = Counter({Series(*row[:-1]): row[-1] for row in found})
    for kind, engine, count in connection.execute(_NOTICES):
        counts[notice_series(kind, engine)] += count
    return Figures(
        now=instant(connection.execute(_NOW).scalar_one()),
        counts=counts,
        ended=[Ended(*row) for row in connection.execute(_ENDED)],
        failed=[Failed(*row) for row in connection.execute(_FAILED)],
        limited=_pairs(connection, _LIMITED),
        waits={**_pairs(connection, _WAITS), **_pairs(connection, _ASLEEP)},
    )


def _pairs(connection: Connection, statement: AnySelect) -> Mapping[str, int]:
    return {row[0]: row[1] for row in connection.execute(statement)}


def _sizes(connection: Connection) -> Sequence[TableSize]:
    if connection.dialect.name == "sqlite":
        whole = TableSize("all", None, connection.execute(_SQLITE_BYTES).scalar_one())
        return [*(_counted(connection, table) for table in metadata.sorted_tables), whole]
    found = connection.execute(_POSTGRESQL_SIZES, {"prefix": PREFIX})
    return [TableSize(name.removeprefix(PREFIX), int(rows), size) for name, rows, size in found]


def _counted(connection: Connection, table: Table) -> TableSize:
    rows = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return TableSize(table.name.removeprefix(PREFIX), rows, None)
