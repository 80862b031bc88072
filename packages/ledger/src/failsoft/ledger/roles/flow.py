"""Chains and groups on SQL."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, bindparam, select, update

from failsoft.job_engine.errors import (
    DuplicateDispatchError,
    GroupNotFoundError,
    IdempotencyConflictError,
    JobNotFoundError,
)
from failsoft.job_engine.records.follow_ups import counts_in
from failsoft.job_engine.records.groups import GroupRecord
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.database.inserts import insert_into
from failsoft.ledger.database.postgresql.replicated import expect_replicated
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.timestamps import now_us
from failsoft.ledger.schema import rows
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import groups
from failsoft.ledger.transitions import insert, remembered_keys
from failsoft.ledger.transitions.consequences import on_end

_BEFORE = (
    select(jobs.c.id, jobs.c.state, jobs.c.follow_ups)
    .where(jobs.c.id == bindparam("job"))
    .with_for_update()
)


class SqlFlow(SqlRole):
    """`FlowLedger` on SQL; every method may be repeated after a lost reply (F22)."""

    def record_chain(
        self, jobs: Sequence[NewJob], plan: OfferPlan | None
    ) -> tuple[Sequence[JobRecord], bool]:
        """Record the jobs of a chain in one transaction, the first offered if there is a plan."""
        return self._database.write(
            lambda c: _record_chain(c, jobs, plan, self._actor), limit=self._database.at_length
        )

    def record_group(
        self, group: GroupRecord, completion: NewJob | None, jobs: Sequence[NewJob]
    ) -> GroupRecord:
        """Record some jobs of a group in one transaction, and the group with the first of them."""

        def work(connection: Connection) -> GroupRecord:
            is_new = _open_group(connection, group)
            known = _group(connection, group)
            if not is_new:
                expect_replicated(connection)
            if known.sealed:
                return known
            if completion is not None:
                made = insert.insert_job(connection, completion, None, self._actor)
                if made is None and is_new:
                    raise _taken(completion)
            return _add(connection, group, jobs, self._actor)

        return self._database.write(work, limit=self._database.at_length)

    def group(self, group_id: str) -> GroupRecord:
        """Return a group and how many of its jobs have ended how."""
        statement = select(*groups.c).where(groups.c.id == group_id)
        row = self._database.read(lambda c: c.execute(statement).one_or_none())
        if row is None:
            raise GroupNotFoundError(f"expected the id of a group in the ledger, got {group_id!r}")
        return rows.group_record(row)


def _record_chain(
    connection: Connection, chain: Sequence[NewJob], plan: OfferPlan | None, actor: str
) -> tuple[Sequence[JobRecord], bool]:
    recorded: list[JobRecord] = []
    before = _locked(connection, chain[0])
    if before is not None and before.state == JobState.SUCCEEDED:
        before, chain = None, [replace(chain[0], waits_for=None), *chain[1:]]
    plan = plan if before is None else None
    for place, job in enumerate(chain):
        new = insert.insert_job(connection, job, plan if place == 0 else None, actor)
        if new is None and place == 0:
            expect_replicated(connection)
            return _known(connection, chain), False
        if new is None:
            raise _taken(job)
        recorded.append(new)
    if before is None:
        return recorded, True
    on_end.begin_after(connection, before, chain[0].id)
    return _known(connection, chain), True


def _locked(connection: Connection, first: NewJob) -> AnyRow | None:
    """Lock the job that a chain begins behind, so that its end comes before this or after it."""
    if first.waits_for is None:
        return None
    found = connection.execute(_BEFORE, {"job": first.waits_for}).one_or_none()
    # It may have been pruned since the chain was recorded, and this is the same call again.
    if found is None and not _is_known(connection, first.id):
        raise JobNotFoundError(f"expected the id of a job in the ledger, got {first.waits_for!r}")
    return found


def _is_known(connection: Connection, job_id: str) -> bool:
    found = connection.execute(select(jobs.c.id).where(jobs.c.id == job_id)).one_or_none()
    return found is not None or remembered_keys.find_id(connection, job_id) is not None


def _known(connection: Connection, chain: Sequence[NewJob]) -> Sequence[JobRecord]:
    ids = [job.id for job in chain]
    found = connection.execute(select(*jobs.c).where(jobs.c.id.in_(ids))).all()
    by_id = {row.id: rows.job_record(row) for row in found}
    for job in chain:
        pruned = None if job.id in by_id else remembered_keys.find_id(connection, job.id)
        if pruned is not None:
            by_id[job.id] = pruned
    if len(by_id) < len(ids):
        raise _taken(chain[0])
    return [by_id[each] for each in ids]


def _taken(job: NewJob) -> DuplicateDispatchError:
    return DuplicateDispatchError(
        f"expected ids and keys that no other job has, got those of job {job.id!r} ({job.name}), "
        "which are taken; nothing was recorded"
    )


def _open_group(connection: Connection, group: GroupRecord) -> bool:
    """Record a group unless it is; return whether it is new."""
    values = {
        "id": group.id,
        "sha": group.sha,
        "policy": group.when,
        "completion_id": group.completion_id,
        "completion_field": group.completion_field,
        "created_at": now_us(),
    }
    statement = insert_into(connection.dialect.name, groups).values(values).on_conflict_do_nothing()
    return connection.execute(statement).rowcount == 1


def _group(connection: Connection, group: GroupRecord) -> GroupRecord:
    row = connection.execute(select(*groups.c).where(groups.c.id == group.id)).one()
    known = rows.group_record(row)
    if known.sha != group.sha:
        raise IdempotencyConflictError(
            f"expected the jobs that group {group.id} was dispatched with, got others; use "
            "another group_id for other work"
        )
    return known


def _add(
    connection: Connection, group: GroupRecord, members: Sequence[NewJob], actor: str
) -> GroupRecord:
    added = [insert.insert_job(connection, job, None, actor) for job in members]
    there = [job for job, new in zip(members, added, strict=True) if new is None]
    _expect_of_group(connection, group.id, there)
    new = len(members) - len(there)
    values = {"total": groups.c.total + new, "sealed": groups.c.sealed | group.sealed}
    statement = update(groups).where(groups.c.id == group.id).values(values)
    after = rows.group_record(connection.execute(statement.returning(*groups.c)).one())
    if after.is_over:
        # All of its jobs had ended before the last of them was recorded again.
        on_end.group_over(connection, after)
    return after


def _expect_of_group(connection: Connection, group_id: str, there: Sequence[NewJob]) -> None:
    """Refuse a group whose jobs have the ids of others: those would never be counted."""
    if there:
        ids = [job.id for job in there]
        found = connection.execute(select(jobs.c.id, jobs.c.follow_ups).where(jobs.c.id.in_(ids)))
        known = {row.id: row.follow_ups for row in found}
        for job in there:
            if not counts_in(known.get(job.id), group_id):
                raise _taken(job)
