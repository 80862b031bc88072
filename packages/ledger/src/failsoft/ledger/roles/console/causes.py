"""What dead letters failed with: grouped by the database, which returns a row for each cause."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from sqlalchemy import BigInteger, Connection, String, cast, func, literal, select, type_coerce

from failsoft.job_engine.ports.console import MOST_GROUPED, MOST_OF_A_LINE, Cause, Causes
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.compiled import AnyRow
from failsoft.ledger.database.timestamps import instant
from failsoft.ledger.roles import lists
from failsoft.ledger.roles.console.look import Look
from failsoft.ledger.roles.lists import Window
from failsoft.ledger.schema.jobs import by_itself, jobs

_STATE, _END = JobState.FAILED, "finished_at"
#: So much of an error as has its type and the first line of its text, each character of which may
#: take six where it is written in ASCII.
_ERROR_CHARS = 1_300
_STRING = r'(?:[^"\\]|\\u[0-9a-f]{4}|\\[^u])*'
#: As `rows.error_text` writes it; the text may be cut off.
_ERROR = re.compile(rf'{{"type": ("{_STRING}"), "message": "({_STRING})')

_AT = type_coerce(jobs.c[_END], BigInteger)
_NAME = by_itself(jobs.c.name).label("name")
_ENGINE = jobs.c.engine
_BEGINNING = func.substr(jobs.c.error, 1, _ERROR_CHARS).label("beginning")
_ALIKE = select(
    *(_NAME, _ENGINE, _BEGINNING, func.count().label("jobs"), func.min(_AT).label("first")),
    # The greatest text is that of the latest moment: they have as many digits until 2286.
    func.max(cast(_AT, String) + literal(":") + jobs.c.id).label("newest"),
).group_by(_NAME, _ENGINE, _BEGINNING)


def newest(connection: Connection) -> Causes:
    """Group the newest dead letters by their causes, as many as there is time for."""
    lists.go_by_index(connection)
    edges = partial(lists.ended_edges, _STATE)
    look, found = Look(edges, Window(_END), most=MOST_GROUPED), dict[tuple[str, str, str], Cause]()
    for part in look.parts(connection):
        statement = _ALIKE.where(*lists.ended_between(_STATE, part))
        _add(found, map(_cause, connection.execute(statement)))
    items = sorted(found.values(), key=lambda cause: (-cause.count, cause.name))
    return Causes(items, sum(cause.count for cause in items), look.after is not None)


def _add(found: dict[tuple[str, str, str], Cause], causes: Iterable[Cause]) -> None:
    for each in causes:
        key = (each.name, each.error_type, each.line)
        before = found.get(key)
        found[key] = each if before is None else _together(before, each)


def _together(one: Cause, other: Cause) -> Cause:
    last = max(one, other, key=lambda cause: cause.last)
    return replace(
        last,
        count=one.count + other.count,
        first=min(one.first, other.first),
        engines=one.engines | other.engines,
    )


def _cause(row: AnyRow) -> Cause:
    error_type, line = _parts(row.beginning or "")
    last, _, newest_id = row.newest.partition(":")
    return Cause(
        name=row.name,
        error_type=error_type,
        line=line,
        count=row.jobs,
        first=instant(row.first),
        last=instant(int(last)),
        engines=frozenset([row.engine] if row.engine else []),
        newest=newest_id,
    )


def _parts(beginning: str) -> Iterator[str]:
    """Yield the type of an error, and the first line of its text."""
    error = _ERROR.match(beginning)
    yield "unknown" if error is None else json.loads(error.group(1))
    message = "" if error is None else json.loads(f'"{error.group(2)}"')
    yield message.partition("\n")[0][:MOST_OF_A_LINE]
