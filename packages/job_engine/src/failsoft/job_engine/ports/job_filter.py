"""Which jobs are meant: what lists, counts and the actions on many jobs choose by."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict, cast

from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.validation import Expect

#: The shortest beginning of an id that chooses jobs by it.
LEAST_ID_CHARS = 4
#: The longest span within which a text of the payload is looked for without a name.
PAYLOAD_SPAN = timedelta(hours=24)
#: How many jobs a list looks through at most for what stands in no index; fewer if they take long.
MOST_LOOKED_THROUGH = 50_000
#: The longest value of a field, in characters, and how many values it has at most.
MAX_VALUE_CHARS = 255
MAX_VALUES = 50

_ID = re.compile(r"[A-Za-z0-9_-]{4,64}")
_EXPECT = Expect(OptionInvalidError, "filter: ")
_MOMENTS = ("since", "until")


class JobFilter(TypedDict, total=False):
    """What chooses jobs; all of it holds at once, and what is absent or None chooses nothing.

    Attributes:
        states: Only in one of these states; in any where there is none.
        queue: Only of this queue, or of one of these.
        name: Only of this definition, or of one of these.
        engine: Only offered last to this engine, or to one of these.
        id: Only with an id that begins so, of 4 characters or more.
        tag: Only with this tag.
        key: Only with this idempotency key.
        origin: Only those that do this job's work again.
        parent: Only those that this job invoked.
        group: Only the jobs of this group.
        since: Only recorded then or later; of failed and of cancelled jobs alone, ended.
        until: Only recorded before that, or ended.
        error_type: Only with a last error of this type.
        worker: Only with an attempt of this worker.
        payload: Only with this text in the JSON of the payload; together with a name, or with a
            span from `since` to `until` of 24 hours or less.
    """

    states: Sequence[JobState]
    queue: str | Sequence[str] | None
    name: str | Sequence[str] | None
    engine: str | Sequence[str] | None
    id: str | None
    tag: str | None
    key: str | None
    origin: str | None
    parent: str | None
    group: str | None
    since: datetime | None
    until: datetime | None
    error_type: str | None
    worker: str | None
    payload: str | None


#: The fields of a filter that may have several values.
SEVERAL = ("queue", "name", "engine")
FIELDS = tuple(JobFilter.__annotations__)


def values(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the values of a field that may have one, several or none."""
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


def checked(given: Mapping[str, Any]) -> JobFilter:
    """Return a filter in its one form, with everything left out that chooses nothing.

    Raises:
        OptionInvalidError: A field or a state is unknown, a value cannot be one, or a text of the
            payload is looked for without a name or a span of 24 hours or less.
    """
    _EXPECT.known("a field", given, FIELDS)
    chosen: dict[str, Any] = {}
    for name in FIELDS:
        value = given.get(name)
        if value is not None and not (isinstance(value, list | tuple) and not value):
            chosen[name] = _checked(name, value)
    wanted = cast("JobFilter", chosen)
    if "payload" in wanted:
        _EXPECT.that(
            "name" in wanted or _is_short(wanted),
            "a text of the payload with a name, or with since and until at most 24 hours apart",
            "neither",
        )
    return wanted


def moment_of(wanted: JobFilter) -> str:
    """Return the column whose time orders a list, and that `since` and `until` compare."""
    states = set(wanted.get("states") or ())
    ended = ({JobState.FAILED}, {JobState.CANCELLED})
    return "finished_at" if states in ended else "created_at"


def as_json(wanted: JobFilter) -> str:
    """Return a filter as text; equal filters have equal text."""
    plain = {name: _plain(value) for name, value in checked(wanted).items()}
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))


def from_json(text: str) -> JobFilter:
    """Read what `as_json` wrote.

    Raises:
        OptionInvalidError: It is no filter.
    """
    kept = json.loads(text)
    moments = {name: datetime.fromisoformat(kept[name]) for name in _MOMENTS if name in kept}
    return checked(kept | moments)


def digest(wanted: JobFilter) -> str:
    """Return a short hash of a filter, the same for equal ones."""
    return hashlib.sha256(as_json(wanted).encode()).hexdigest()[:16]


def _checked(name: str, value: object) -> object:
    if name == "states":
        given = (value,) if isinstance(value, str) else value
        _EXPECT.value(isinstance(given, list | tuple | set | frozenset), "states as a list", value)
        return tuple(sorted({_state(each) for each in cast("Sequence[str]", given)}))
    if name in _MOMENTS:
        _EXPECT.moment(f"a {name}", value)
        return cast("datetime", value).astimezone(UTC)
    if name in SEVERAL and not isinstance(value, str):
        return _several(name, value)
    _EXPECT.text(f"a {name}", value, most=MAX_VALUE_CHARS)
    if name == "id":
        expected = f"an id, or its beginning of {LEAST_ID_CHARS} characters or more"
        _EXPECT.matching(expected, value, _ID)
    return (value,) if name in SEVERAL else value


def _several(name: str, value: object) -> tuple[str, ...]:
    _EXPECT.words(f"a {name}", value, most=MAX_VALUE_CHARS, kind=list | tuple)
    given = tuple(sorted(set(cast("Sequence[str]", value))))
    _EXPECT.value(len(given) <= MAX_VALUES, f"at most {MAX_VALUES} of {name}", len(given))
    return given


def _state(value: object) -> JobState:
    _EXPECT.one_of("a state", value, tuple(JobState))
    return JobState(cast("str", value))


def _is_short(wanted: JobFilter) -> bool:
    since, until = wanted.get("since"), wanted.get("until")
    if since is None or until is None:
        return False
    return until - since <= PAYLOAD_SPAN


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
