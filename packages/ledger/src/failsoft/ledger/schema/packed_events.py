"""The first events of a job, packed into its row (decision 0079).

Each is a JSON array without spaces: its number, its microseconds since the job was recorded, its
epoch, a letter for the state and one for the kind, its actor and, where there is any, its detail.
A comma stands between two of them, so that a statement appends one without reading the others.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    literal_column,
    select,
    type_coerce,
)

from failsoft.job_engine.ports.clock import DISPATCH
from failsoft.job_engine.records import states
from failsoft.job_engine.records.job import HistoryEntry
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.timestamps import now_us
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.revision import MINIMUM
from failsoft.ledger.schema.tables import info

#: How many of a job's events stand in its row at most. A row is written whole at every change, so
#: that the events of one that goes on for long have to stand elsewhere.
MOST = 6
#: The oldest revision whose code reads them; nothing is packed before no older code works here.
REVISION = "0003"

#: Never changed: ledgers are full of them. A kind without a letter is written out.
_KINDS: Mapping[str, str] = {
    DISPATCH: "d",
    states.OFFER.name: "o",
    states.REOFFER.name: "O",
    states.PARK.name: "p",
    states.CLAIM.name: "c",
    states.DEFER.name: "w",
    states.RECOVER.name: "R",
    states.EXHAUST.name: "X",
    states.SUCCEED.name: "s",
    states.RETRY.name: "r",
    states.FAIL.name: "f",
    states.CRASH.name: "k",
    states.CRASH_OUT.name: "K",
    states.SUSPEND.name: "z",
    states.RELEASE.name: "l",
    states.HOLD.name: "h",
    states.STOP.name: "x",
    states.CANCEL.name: "C",
    states.EXPIRE.name: "e",
}
_STATES: Mapping[JobState, str] = {
    JobState.SCHEDULED: "s",
    JobState.OFFERED: "o",
    JobState.RUNNING: "r",
    JobState.SUCCEEDED: "S",
    JobState.FAILED: "F",
    JobState.CANCELLED: "C",
    JobState.HELD: "h",
}
_KIND_OF: Mapping[str, str] = {letter: kind for kind, letter in _KINDS.items()}
_STATE_OF = {letter: state for state, letter in _STATES.items()}

#: Whether a job was offered to an engine when it was recorded; NULL where that is not in its row.
OFFERED_AT_ONCE: ColumnElement[bool] = jobs.c.history.like(
    f'[1,0,1,"{_STATES[JobState.OFFERED]}{_KINDS[DISPATCH]}"%'
)

#: One encoder: `json.dumps` makes one at each call that names separators.
_in_short = json.JSONEncoder(separators=(",", ":")).encode

_MICROSECOND = timedelta(microseconds=1)
_COMMA = literal_column("','", Text)
_OPEN = literal_column("'['", Text)

#: Whether the newest event of a changed row stands in it; of what a statement returns.
#: By its text: SQLite's RETURNING says of a NULL that was assigned that it is none (see
#: docs/how-to/ledger-sqlite.md).
IS_PACKED: ColumnElement[bool] = and_(
    func.coalesce(jobs.c.history, "") != "", jobs.c.events <= MOST
)
#: Whether the first event of a job is put into its row: no older code is left that would miss it.
MAY_PACK = select(literal(1)).where(info.c.key == MINIMUM, info.c.value >= REVISION).exists()
#: What a new job's history is, of the parameter `history`.
FIRST: ColumnElement[str | None] = case((MAY_PACK, bindparam("history", type_=Text)))


def first(state: JobState, actor: str, detail: Mapping[str, Any]) -> str:
    """Return the event of a dispatch, the first of a job."""
    epoch = int(state is JobState.OFFERED)
    return f"[1,0,{epoch},{rest(state, DISPATCH, actor, detail)}"


def rest(state: JobState, kind: str, actor: str, detail: Mapping[str, Any]) -> str:
    """Return what a program says of an event; its number, moment and epoch are the database's."""
    told = f",{_in_short(dict(detail))}" if detail else ""
    return f"{_beginning(state, kind, actor)}{told}]"


@lru_cache(maxsize=1024)
def _beginning(state: JobState, kind: str, actor: str) -> str:
    # The same few again and again.
    return f"{json.dumps(_STATES[state] + _KINDS.get(kind, kind))},{json.dumps(actor)}"


def appended(epoch: ColumnElement[int], packed: ColumnElement[str]) -> ColumnElement[str]:
    """Return the history of a row with one more event.

    A row without a history gets none: its events are rows of their own.

    Args:
        epoch: The row's epoch after the change.
        packed: The `rest` of the event.
    """
    numbers: Iterable[ColumnElement[Any]] = (
        jobs.c.events + 1,
        now_us() - type_coerce(jobs.c.created_at, BigInteger),
        epoch,
    )
    line: ColumnElement[Any] = jobs.c.history.concat(_COMMA).concat(_OPEN)
    for number in numbers:
        line = line.concat(cast(number, Text)).concat(_COMMA)
    line = line.concat(packed)
    return case((jobs.c.events < MOST, line), else_=jobs.c.history)


def unpacked(job_id: str, recorded_at: datetime, history: str | None) -> Sequence[HistoryEntry]:
    """Read the events that stand in a job's row.

    Raises:
        ValueError: They cannot be read.
    """
    if not history:
        return ()
    return [_entry(job_id, recorded_at, each) for each in json.loads(f"[{history}]")]


def _entry(job_id: str, recorded_at: datetime, packed: Sequence[Any]) -> HistoryEntry:
    n, later, epoch, what, actor, *told = packed
    state = _STATE_OF.get(what[:1])
    if state is None:
        raise ValueError(f"expected a state's letter, got {what[:1]!r}")
    kind: str = _KIND_OF.get(what[1:], what[1:])
    at = recorded_at + later * _MICROSECOND
    return HistoryEntry(job_id, n, at, actor, kind, state, epoch, told[0] if told else {})
