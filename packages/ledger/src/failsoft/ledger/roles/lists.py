"""Which jobs a list has, the newest first, at the same cost however many the ledger keeps.

Each look goes through one index that holds what it chooses by. Neither database has statistics
of a new ledger, and SQLite has none at all, so no look leaves the choice of the index to them. What
stands in no index is looked for in the rows that a look finds, up to an edge.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    String,
    and_,
    any_,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
    type_coerce,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB, array

from failsoft.job_engine.ports.cursor import Place
from failsoft.job_engine.ports.job_filter import (
    SEVERAL,
    JobFilter,
    moment_of,
    values,
)
from failsoft.job_engine.records.states import JobState
from failsoft.ledger.database.compiled import AnySelect
from failsoft.ledger.schema.jobs import by_itself, in_state, jobs
from failsoft.ledger.schema.tables import attempts
from failsoft.ledger.transitions.each_value import By, distinct, first_of_each

#: The states that nearly no job of a large ledger is in; each has an index of its own.
_RARE = frozenset(set(JobState) - {JobState.SUCCEEDED})
#: How many pairs of queue and name are looked at each by itself.
_MOST_PAIRS = 50
_RECORDED = "created_at"
#: The order of a list of ids.
BY_ID = "id"
_ID = jobs.c.id
#: The columns that must hold a value, by the fields that name one.
_COLUMNS = {
    "key": jobs.c.idempotency_key,
    "origin": jobs.c.retry_of,
    "parent": jobs.c.parent_id,
}


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a list.

    Attributes:
        order: What it is ordered by: a column of a moment, the latest first, or `id`.
        after: The place that it begins after.
        edge: The place that it ends with.
    """

    order: str = _RECORDED
    after: Place | None = None
    edge: Place | None = None


@dataclass(frozen=True, slots=True)
class _Look:
    """A look into one index.

    Attributes:
        here: Which part of the index.
        rest: What else must be true; nothing that an index is chosen for.
        each: The values of a column that it looks at one by one.
        is_narrow: Whether that part is small: it is read and sorted.
        behind: Columns of one value that the index has before the moment; see `_one_of`.
    """

    here: Sequence[ColumnElement[bool]]
    rest: Sequence[ColumnElement[bool]]
    each: CTE | None = None
    is_narrow: bool = False
    behind: Sequence[ColumnElement[Any]] = ()


#: For the rest of a transaction of PostgreSQL. To compile a plan, which it does where it expects
#: many rows, takes longer than all of a look.
_BY_INDEX = text(
    "SELECT pg_catalog.set_config('enable_seqscan', 'off', true),"
    " pg_catalog.set_config('enable_sort', 'off', true), pg_catalog.set_config('jit', 'off', true)"
)


#: As above, for what needs no more than an index holds: a heap page that is visible to all is not
#: visited then, which a bitmap would do.
_BY_INDEX_ALONE = text(
    "SELECT pg_catalog.set_config('enable_seqscan', 'off', true),"
    " pg_catalog.set_config('enable_bitmapscan', 'off', true),"
    " pg_catalog.set_config('max_parallel_workers_per_gather', '0', true),"
    " pg_catalog.set_config('jit', 'off', true)"
)


def go_by_index_alone(connection: Connection) -> None:
    """Let what a transaction counts be read from its indexes, without the rows where that may be.

    PostgreSQL without statistics expects few rows, for which it takes a bitmap for cheaper.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_BY_INDEX_ALONE)


def go_by_index(connection: Connection) -> None:
    """Let the looks of a transaction go through their indexes, in the order that those have.

    PostgreSQL without statistics expects a tenth of the rows there are, and takes it for cheaper to
    read and sort all of them.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_BY_INDEX)


def order_of(wanted: JobFilter) -> str:
    """Return what the list of a filter is ordered by: a column of a moment, or `id`."""
    by_id = wanted.get("id") is not None or wanted.get("group") is not None
    return BY_ID if by_id else moment_of(wanted)


def newest(wanted: JobFilter, limit: int, *, is_sqlite: bool) -> AnySelect:
    """Select the jobs that a filter chooses, the latest recorded first."""
    found = places(wanted, Window(), limit, is_sqlite=is_sqlite)
    chosen = found.with_only_columns(found.selected_columns.id)
    return in_order(select(*jobs.c).where(_ID.in_(chosen)), Window())


def in_order(found: Select[Any], window: Window) -> Select[Any]:
    """Put a few rows of `jobs`, chosen by their ids, into the order of a list."""
    # They are sorted: no index is gone through for their order.
    if window.order == BY_ID:
        return found.order_by(by_itself(_ID))
    return found.order_by((_at(window) + literal_column("0")).desc(), _ID)


def places(wanted: JobFilter, window: Window, limit: int, *, is_sqlite: bool) -> AnySelect:
    """Select the places of the first jobs of a window that a filter chooses: `id` and `at`."""
    found = _found(wanted, window, limit, is_sqlite=is_sqlite).subquery()
    return select(found.c.id, found.c.at).order_by(found.c.at.desc(), found.c.id).limit(limit)


def chains(window: Window, limit: int, *, is_sqlite: bool) -> AnySelect:
    """Select the places of the first jobs of the chains in a window: `id` and `at`."""
    return _first(_CHAINS, window, limit, is_sqlite=is_sqlite)


def number(wanted: JobFilter, window: Window, most: int, *, is_sqlite: bool) -> Select[Any]:
    """Count the jobs of a window that a filter chooses, up to a number."""
    found = _found(wanted, window, most, is_sqlite=is_sqlite).subquery()
    few = select(found.c.id).limit(most).subquery()
    return select(func.count()).select_from(few)


def edges(wanted: JobFilter, window: Window, many: int, *, is_sqlite: bool) -> Iterator[AnySelect]:
    """Select up to where each look may go for what stands in no index; none where all of it does.

    Each returns one row: a moment, or an id where the list is ordered by ids; NULL where fewer rows
    are left than `many`.
    """
    yield from _edges(list(_looks(wanted, window, is_sqlite=is_sqlite)), window, many)


def chain_edges(window: Window, many: int) -> Iterator[AnySelect]:
    """Select up to where the look for chains may go; see `edges`."""
    yield from _edges([_CHAINS], window, many)


def ended_edges(state: JobState, window: Window, many: int) -> Iterator[AnySelect]:
    """Select where a part of so many jobs of a state ends; the window is ordered by their ends."""
    yield from _ends([_Look((in_state(state),), ())], window, many)


def ended_between(state: JobState, window: Window) -> Sequence[ColumnElement[bool]]:
    """Say that a job is in a state and, by its end, in a window whose edges are moments."""
    at = _at(window)
    after = [] if window.after is None else [at < window.after.at]
    return (in_state(state), *after, *_before(window, at))


def _edges(looks: Sequence[_Look], window: Window, many: int) -> Iterator[AnySelect]:
    if any(look.rest and not look.is_narrow for look in looks):
        yield from _ends(looks, window, many)


def _ends(looks: Sequence[_Look], window: Window, many: int) -> Iterator[AnySelect]:
    for look in looks:
        column = _ID if window.order == BY_ID else _at(window)
        order = column if window.order == BY_ID else column.desc()
        behind = [each.desc() for each in look.behind]
        last = select(column).where(*look.here, *_after(window)).order_by(*behind, order)
        last = last.limit(1).offset(many - 1)
        if look.each is None:
            yield select(last.scalar_subquery().label("edge"))
        else:
            of_each = last.correlate(look.each).scalar_subquery()
            yield select(func.max(of_each).label("edge")).select_from(look.each)


def _found(wanted: JobFilter, window: Window, limit: int, *, is_sqlite: bool) -> Any:
    """Select what is, together, all that may be among the first: `id` and `at`."""
    looks = _looks(wanted, window, is_sqlite=is_sqlite)
    found = [_first(look, window, limit, is_sqlite=is_sqlite) for look in looks]
    # SQLite takes no ORDER BY within a union but in a subquery.
    return union_all(*(select(*each.subquery().c) for each in found))


def _first(look: _Look, window: Window, limit: int, *, is_sqlite: bool) -> AnySelect:
    at = literal(0) if window.order == BY_ID else _at(window)
    # What is sorted anyway is not to be read in the order of another index.
    at = at + literal_column("0") if look.is_narrow else at
    found = select(_ID, at.label("at")).where(*look.here, *look.rest)
    if look.each is not None:
        found = found.where(*_after(window))
        edge = literal(0 if window.edge is None else window.edge.at)
        by = By(jobs.c[window.order], edge, newest=True, behind=look.behind)
        return first_of_each(look.each, found, by, literal(limit), is_sqlite=is_sqlite)
    found = found.where(*_after(window, at), *_before(window, at))
    behind = [each.desc() for each in look.behind]
    order = (_ID,) if window.order == BY_ID else (*behind, at.desc(), _ID)
    return found.order_by(*order).limit(limit)


def _at(window: Window) -> ColumnElement[int]:
    return type_coerce(jobs.c[window.order], BigInteger)


def _after(window: Window, at: ColumnElement[int] | None = None) -> list[ColumnElement[bool]]:
    """Say that a job comes after the place that a window begins after."""
    place = window.after
    if place is None:
        return []
    if window.order == BY_ID:
        return [place.id < _ID]
    at = _at(window) if at is None else at
    # The first condition alone, so that the index is gone through from there: PostgreSQL takes an
    # OR for a filter.
    return [at <= place.at, or_(at < place.at, place.id < _ID)]


def _before(window: Window, at: ColumnElement[int]) -> list[ColumnElement[bool]]:
    if window.edge is None:
        return []
    return [window.edge.id >= _ID] if window.order == BY_ID else [at >= window.edge.at]


def _looks(wanted: JobFilter, window: Window, *, is_sqlite: bool) -> Iterator[_Look]:
    """Return the looks that find, together, all that a filter chooses."""
    times, states = tuple(_times(wanted, window)), wanted.get("states")

    def rest(*beside: str, indexed: Sequence[str] = ()) -> Sequence[ColumnElement[bool]]:
        left_out = (*beside, "since", "until")
        return tuple(_chosen(wanted, left_out, indexed, is_sqlite=is_sqlite))

    narrow = next((field for field in _COLUMNS if wanted.get(field) is not None), None)
    if window.order == BY_ID:
        beside = "id" if wanted.get("id") is not None else "group"
        yield _Look(tuple(_among_ids(wanted)), (*times, *rest(beside)))
    elif narrow is not None:
        here = (*_with_name(wanted, narrow), _COLUMNS[narrow] == wanted.get(narrow))
        yield _Look(here, (*times, *rest(narrow)), is_narrow=True)
    elif states and _RARE.issuperset(states):
        indexed = () if is_sqlite else _indexed(wanted)
        for state in sorted(set(states)):
            yield _Look((in_state(state), *times), rest("states", indexed=indexed))
    else:
        yield from _by_pairs(wanted, times, rest, is_sqlite=is_sqlite)


def _by_pairs(
    wanted: JobFilter,
    times: Sequence[ColumnElement[bool]],
    rest: Callable[..., Sequence[ColumnElement[bool]]],
    *,
    is_sqlite: bool,
) -> Iterator[_Look]:
    pairs = list(product(*_pairs(wanted)))
    if (None, None) in pairs or len(pairs) > _MOST_PAIRS:
        tagged = () if wanted.get("tag") is None else (_IS_TAGGED,)
        yield _Look((*tagged, *times), rest())
        return
    beside_each = rest("queue", "name")
    for place, (queue, name) in enumerate(pairs):
        each, pair = _pair(queue, name, str(place), is_sqlite=is_sqlite)
        behind = () if is_sqlite else (jobs.c.queue,)
        yield _Look((*pair, *times), beside_each, each, behind=behind)


def _pairs(wanted: JobFilter) -> tuple[Sequence[str | None], Sequence[str | None]]:
    return values(wanted.get("queue")) or (None,), values(wanted.get("name")) or (None,)


def _pair(
    queue: str | None, name: str | None, place: str, *, is_sqlite: bool
) -> tuple[CTE | None, Sequence[ColumnElement[bool]]]:
    """Look at the newest of a queue and a name, or of each pair with one of them.

    One index begins with both.
    """
    if name is not None and queue is not None:
        return None, (
            _one_of(jobs.c.queue, literal(queue), is_sqlite=is_sqlite),
            jobs.c.name == name,
        )
    if queue is not None:
        each = distinct(jobs.c.name, jobs.c.queue == queue, name=place)
        of_queue = _one_of(jobs.c.queue, literal(queue), is_sqlite=is_sqlite)
        return each, (of_queue, jobs.c.name == each.c.value)
    each = distinct(jobs.c.queue, name=place)
    return each, (_one_of(jobs.c.queue, each.c.value, is_sqlite=is_sqlite), jobs.c.name == name)


def _one_of(
    column: ColumnElement[str], value: ColumnElement[Any], *, is_sqlite: bool
) -> ColumnElement[bool]:
    """Say that a column holds a value, so that PostgreSQL sorts by the column, too.

    It leaves out of an order what equals one value. The index of all jobs by their moment has the
    rest of the order then, and is gone through to its end where a pair has hardly any jobs though
    statistics expect many: a queue and a name that are both frequent, and not together. See
    docs/decisions/0079.
    """
    return column == value if is_sqlite else column == any_(array([value]))


def _with_name(wanted: JobFilter, field: str) -> Iterator[ColumnElement[bool]]:
    """Say which names a key may be of: their index begins with the name."""
    if field != "key":
        return
    names = values(wanted.get("name"))
    if names:
        yield jobs.c.name.in_(names)
    else:
        each = distinct(jobs.c.name, jobs.c.idempotency_key.is_not(None))
        yield jobs.c.name.in_(select(each.c.value))


def _among_ids(wanted: JobFilter) -> Iterator[ColumnElement[bool]]:
    """Say where ids are that begin so, or that are a group's: they sort by their bytes."""
    if (beginning := wanted.get("id")) is not None:
        yield beginning <= _ID
        yield _next(beginning) > _ID
        return
    own = f"{wanted.get('group')}-"
    yield f"{own}0" <= _ID
    yield f"{own}:" > _ID


#: The first jobs of chains, whose ids end with their places in it.
_CHAINS = _Look((), (_ID.endswith("-0"), jobs.c.follow_ups.contains('"then":')))


def _next(beginning: str) -> str:
    return f"{beginning[:-1]}{chr(ord(beginning[-1]) + 1)}"


def _times(wanted: JobFilter, window: Window) -> Iterator[ColumnElement[bool]]:
    moment = jobs.c[_RECORDED if window.order == BY_ID else window.order]
    if (since := wanted.get("since")) is not None:
        yield moment >= since
    if (until := wanted.get("until")) is not None:
        yield moment < until


def _indexed(wanted: JobFilter) -> Sequence[str]:
    """Return which fields PostgreSQL compares in the index of a state, and not in each row.

    One of a queue and a name: an index that begins with both has the order of a list, too, and is
    gone through for all jobs of the two.
    """
    chosen: Mapping[str, Any] = wanted
    fields = [field for field in SEVERAL if values(chosen.get(field))]
    return [field for field in fields if field != "queue" or "name" not in fields]


def _chosen(
    wanted: JobFilter, beside: Sequence[str], indexed: Sequence[str] = (), *, is_sqlite: bool
) -> Iterator[ColumnElement[bool]]:
    """Say what else must be true, in such a way that no index is chosen for it.

    Args:
        wanted: The filter.
        beside: The fields that are left out.
        indexed: Those whose columns are compared in the index of a look.
        is_sqlite: Which database it is.
    """
    if (states := wanted.get("states")) and "states" not in beside:
        yield by_itself(jobs.c.state).in_(states)
    for field in SEVERAL:
        given: Any = wanted.get(field)
        several = values(given)
        if several and field not in beside:
            column = jobs.c[field] if field in indexed else by_itself(jobs.c[field])
            yield column == several[0] if len(several) == 1 else column.in_(several)
    for field, column in _COLUMNS.items():
        value: Any = wanted.get(field)
        if value is not None and field not in beside:
            yield by_itself(column) == value
    yield from _by_parts(wanted, beside, is_sqlite=is_sqlite)
    yield from _by_text(wanted, is_sqlite=is_sqlite)


def _by_parts(
    wanted: JobFilter, beside: Sequence[str], *, is_sqlite: bool
) -> Iterator[ColumnElement[bool]]:
    if (beginning := wanted.get("id")) is not None and "id" not in beside:
        yield func.substr(_ID, 1, len(beginning)) == beginning
    if (group := wanted.get("group")) is not None:
        yield _is_member(group, is_sqlite=is_sqlite)
    if (tag := wanted.get("tag")) is not None:
        yield _has_tag(tag, is_sqlite=is_sqlite)


def _by_text(wanted: JobFilter, *, is_sqlite: bool) -> Iterator[ColumnElement[bool]]:
    if (kind := wanted.get("error_type")) is not None:
        # As it is written, see `rows.error_text`: none of the text is read as JSON for it.
        beginning = f'{{"type": {json.dumps(kind)}, '
        yield func.substr(jobs.c.error, 1, len(beginning)) == beginning
    if (worker := wanted.get("worker")) is not None:
        mine = and_(attempts.c.job_id == _ID, attempts.c.worker == worker)
        # A value of each row: no plan may read all attempts first, and join them.
        yield select(literal(1)).where(mine).correlate(jobs).limit(1).scalar_subquery().is_not(None)
    if (text := wanted.get("payload")) is not None:
        position = func.instr if is_sqlite else func.strpos
        yield position(jobs.c.payload, text) > 0


def _is_member(group: str, *, is_sqlite: bool) -> ColumnElement[bool]:
    # In C collation and of ASCII: what is beside a digit is before `0` or after `9`.
    place = func.substr(_ID, len(group) + 2)
    digits = place.op("NOT GLOB")("*[^0-9]*") if is_sqlite else place.op("~")("^[0-9]+$")
    return and_(func.substr(_ID, 1, len(group) + 1) == f"{group}-", digits)


# Most have none, and are in no index of those that have some.
_IS_TAGGED: ColumnElement[bool] = jobs.c.tags != literal_column("'[]'")


def _has_tag(tag: str, *, is_sqlite: bool) -> ColumnElement[bool]:
    if not is_sqlite:
        return and_(_IS_TAGGED, cast(jobs.c.tags, JSONB).contains([tag]))
    tags = func.json_each(jobs.c.tags).table_valued("value")
    is_among = select(literal(1)).where(cast(tags.c.value, String) == tag).exists()
    # As it stands in JSON; to look for a text is faster than to read all of them.
    return and_(_IS_TAGGED, func.instr(jobs.c.tags, json.dumps(tag)) > 0, is_among)


def at_edge(window: Window, found: Sequence[Any]) -> Window:
    """Return a window that ends where the first of its looks may go no further."""
    there = [each for each in found if each is not None]
    if not there:
        return window
    if window.order == BY_ID:
        return replace(window, edge=Place(0, min(there)))
    return replace(window, edge=Place(max(there), ""))
