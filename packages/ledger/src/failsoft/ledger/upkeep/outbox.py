"""What a relay sees of the outbox, and which of several relays publishes (rule 28)."""

import json
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import and_, bindparam, case, func, or_, select, update

from failsoft.job_engine.outbox import OutboxEntry, OutboxLoad, OutboxRecord
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.database.inserts import insert_into
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.timestamps import microseconds, now_us
from failsoft.ledger.schema.tables import info, outbox

#: The longest that a refused record is left alone; what lies further ahead was written by a clock
#: that was.
LONGEST_PAUSE = timedelta(minutes=10)

_TURN = "outbox-turn-"
_MAX_ERROR_CHARS = 500

_ahead = outbox.alias("ahead")
#: Whether a record that was refused is to be left alone.
_RESTS = and_(outbox.c.due_at > now_us(), outbox.c.due_at <= now_us() + microseconds(LONGEST_PAUSE))
_IS_BEHIND_ONE = (
    select(_ahead.c.seq)
    .where(
        _ahead.c.engine == outbox.c.engine,
        _ahead.c.topic == outbox.c.topic,
        _ahead.c.key == outbox.c.key,
        _ahead.c.seq < outbox.c.seq,
        _ahead.c.published_at.is_(None),
        _ahead.c.due_at.is_not(None),
        _ahead.c.due_at > now_us(),
        _ahead.c.due_at <= now_us() + microseconds(LONGEST_PAUSE),
    )
    .exists()
)
_WAITING = (
    select(*outbox.c)
    .where(
        outbox.c.engine == bindparam("engine"),
        outbox.c.published_at.is_(None),
        or_(outbox.c.due_at.is_(None), ~_RESTS),
        ~_IS_BEHIND_ONE,
    )
    .order_by(outbox.c.seq)
    .limit(bindparam("most"))
)
_SEEN = select(info.c.value).where(info.c.key == bindparam("at_key"))
_TAKE = (
    update(info)
    .where(info.c.key == bindparam("at_key"), info.c.value == bindparam("seen"))
    .values(value=bindparam("mine"))
)
_REFUSE = (
    update(outbox)
    .where(outbox.c.seq == bindparam("at_seq"), outbox.c.published_at.is_(None))
    .values(
        due_at=now_us() + bindparam("pause"),
        refusals=outbox.c.refusals + 1,
        error=bindparam("to_error"),
    )
)
_LOAD = (
    select(
        outbox.c.engine,
        func.count().label("waiting"),
        (now_us() - func.min(outbox.c.created_at)).label("oldest"),
        func.sum(case((outbox.c.refusals > 0, 1), else_=0)).label("refused"),
        func.min(case((outbox.c.refusals > 0, outbox.c.seq))).label("first"),
    )
    .where(outbox.c.published_at.is_(None))
    .group_by(outbox.c.engine)
    .order_by(outbox.c.engine)
)


class SqlOutbox(SqlRole):
    """`OutboxLedger` on SQL."""

    def outbox_waiting(self, engine: str, limit: int) -> Sequence[OutboxEntry]:
        """Return the records to publish next, in their order."""
        wanted = {"engine": engine, "most": limit}
        found = self._database.read(lambda c: c.execute(_WAITING, wanted).all())
        return [_entry(row) for row in found]

    def outbox_turn(self, engine: str) -> str | None:
        """Return who publishes; None if none ever has."""
        key = {"at_key": _TURN + engine}
        return self._database.read(lambda c: c.execute(_SEEN, key).scalar_one_or_none())

    def take_outbox_turn(self, engine: str, seen: str | None, mine: str) -> bool:
        """Take or renew the turn if it is as it was seen; return whether it was."""
        key = _TURN + engine
        if seen is None:
            new = insert_into("sqlite" if self._database.is_sqlite else "postgresql", info)
            first = new.values(key=key, value=mine).on_conflict_do_nothing().returning(info.c.key)
            return self._database.write(lambda c: c.execute(first).first() is not None)
        values = {"at_key": key, "seen": seen, "mine": mine}
        return self._database.write(lambda c: c.execute(_TAKE, values).rowcount == 1)

    def outbox_published(self, seqs: Sequence[int]) -> None:
        """Note that the broker has these; repeating it is harmless."""
        which = and_(outbox.c.seq.in_(seqs), outbox.c.published_at.is_(None))
        end = update(outbox).where(which).values(published_at=now_us())
        self._database.write(lambda c: c.execute(end))

    def outbox_refused(self, seq: int, error: str, pause: timedelta) -> None:
        """Note that the broker refused a record, which is tried again after a pause."""
        span = microseconds(min(pause, LONGEST_PAUSE))
        values = {"at_seq": seq, "pause": span, "to_error": error[:_MAX_ERROR_CHARS]}
        self._database.write(lambda c: c.execute(_REFUSE, values))

    def outbox_load(self) -> Sequence[OutboxLoad]:
        """Return what waits, by engine."""
        found = self._database.read(lambda c: c.execute(_LOAD).all())
        return [self._load(row) for row in found]

    def _load(self, row: AnyRow) -> OutboxLoad:
        error: str | None = None
        if row.first is not None:
            why = select(outbox.c.error).where(outbox.c.seq == row.first)
            error = self._database.read(lambda c: c.execute(why).scalar_one_or_none())
        oldest = timedelta(microseconds=max(0, int(row.oldest)))
        return OutboxLoad(row.engine, row.waiting, oldest, int(row.refused), error)


def _entry(row: AnyRow) -> OutboxEntry:
    headers = tuple((name, bytes.fromhex(value)) for name, value in json.loads(row.headers))
    record = OutboxRecord(row.engine, row.topic, row.value, row.key, headers)
    return OutboxEntry(
        row.id, row.seq, record, row.job_id, row.step, row.created_at, row.refusals, row.error
    )
