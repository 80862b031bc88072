"""Engines that are disabled for every process: facts about the ledger, read once a second.

They stand beside the other facts, not among the pauses: a program of before does not know them,
and goes on as if there were none.
"""

import json
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, func, literal, select, union_all

from failsoft.job_engine.records.engine_switch import DisabledEngine, EngineLoad
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.compiled import AnySelect, read
from failsoft.ledger.database.inserts import insert_into
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.timestamps import instant, now_us
from failsoft.ledger.schema.jobs import by_itself, in_state, jobs
from failsoft.ledger.schema.tables import info

_KEY = "engine-disabled-"
_ALL = (
    select(info.c.key, info.c.value)
    .where(info.c.key.startswith(_KEY, autoescape=True))
    .order_by(info.c.key)
)
_NOW = select(now_us())


def _of_engine(state: JobState) -> AnySelect:
    # One state each, as the partial indexes have them.
    queue = by_itself(jobs.c.queue)
    return (
        select(literal(str(state)).label("state"), queue.label("queue"), func.count().label("jobs"))
        .where(in_state(state), jobs.c.engine == bindparam("engine"))
        .group_by(queue)
    )


_LOAD = union_all(_of_engine(JobState.OFFERED), _of_engine(JobState.RUNNING))


class SqlEngineSwitches(SqlRole):
    """The part of `ControlLedger` that disables engines, on SQL."""

    def disable_engine(self, engine: DisabledEngine) -> DisabledEngine:
        """Let an engine get no offers; return what holds now."""
        return self._database.write(lambda connection: _disable(connection, engine))

    def enable_engine(self, name: str) -> bool:
        """Let an engine get offers again; return whether it was disabled."""
        end = delete(info).where(info.c.key == f"{_KEY}{name}")
        return self._database.write(lambda c: c.execute(end).rowcount == 1)

    def disabled_engines(self) -> Sequence[DisabledEngine]:
        """Return the engines that are disabled, by name."""
        found = self._database.ask(lambda c: read(c, _ALL))
        return [_read(key, value) for key, value in found]

    def engine_load(self, engine: str) -> EngineLoad:
        """Return what an engine still has: offers that wait there, and attempts that run."""
        found = self._database.read(lambda c: c.execute(_LOAD, {"engine": engine}).all())
        waiting = {row.queue: row.jobs for row in found if row.state == JobState.OFFERED}
        running = sum(row.jobs for row in found if row.state == JobState.RUNNING)
        return EngineLoad(waiting, running)


def _disable(connection: Connection, engine: DisabledEngine) -> DisabledEngine:
    key = f"{_KEY}{engine.name}"
    since = connection.execute(_NOW).scalar_one()
    value = json.dumps({"actor": engine.actor, "reason": engine.reason, "since": since})
    new = insert_into(connection.dialect.name, info).values(key=key, value=value)
    connection.execute(new.on_conflict_do_nothing())
    holds = select(info.c.value).where(info.c.key == key)
    # Another's, which was there first; or that one was just enabled again.
    return _read(key, connection.execute(holds).scalar_one_or_none() or value)


def _read(key: str, value: str) -> DisabledEngine:
    fields = json.loads(value)
    name = key.removeprefix(_KEY)
    return DisabledEngine(name, fields["actor"], fields["reason"], instant(fields["since"]))
