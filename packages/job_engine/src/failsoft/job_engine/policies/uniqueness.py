"""Which jobs count as the same: `Unique`, `Debounce` and `Throttle`, by fields of the payload."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from pydantic import BaseModel

from failsoft.job_engine.errors import DefinitionError
from failsoft.job_engine.validation import Expect
from failsoft.job_engine.values.canonical import canonical, sort_sets

#: The longest name of a field.
MAX_FIELD_CHARS = 128

_EXPECT = Expect(DefinitionError)


class UniqueScope(StrEnum):
    """How long a job holds its key, against every other job of the same name."""

    INCOMPLETE = "incomplete"
    PERIOD = "period"
    UNBEGUN = "unbegun"


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """The key of one job.

    Attributes:
        key: A hash of the scope and of the chosen fields.
        scope: How long the job holds it.
        period: For `PERIOD`: so long from the dispatch, on the database's clock.
    """

    key: str
    scope: UniqueScope
    period: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unique:
    """One job at a time for each value of some fields of the payload.

    Attributes:
        by: The names of the fields; none at all means one job of the definition.
        while_incomplete: The key is free when the job has ended, however it ended: for work that
            is dispatched again and again. So it is where no period is given.
        period: The key is free so long after the dispatch, whatever became of the job: for work
            that is to be done once in a while.
    """

    by: tuple[str, ...]
    while_incomplete: bool = False
    period: timedelta | None = None

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        check_fields(self.by)
        _EXPECT.flag("while_incomplete", self.while_incomplete)
        if self.period is not None:
            once = not self.while_incomplete
            _EXPECT.that(once, "unique while_incomplete or for a period", "both")
            _EXPECT.span("a period", self.period)

    def key(self, payload: BaseModel) -> UniqueKey:
        """Return the key of a payload."""
        scope = UniqueScope.INCOMPLETE if self.period is None else UniqueScope.PERIOD
        return _key(scope, self.by, payload, self.period)


@dataclass(frozen=True, slots=True, kw_only=True)
class Debounce:
    """Of many dispatches in a row only the last runs, when it has been quiet for a while.

    Attributes:
        by: The fields of the payload that separate one row of dispatches from another.
        period: How long after the last dispatch the job runs.
        max_wait: How long after the first one it runs at the latest.
    """

    by: tuple[str, ...]
    period: timedelta
    max_wait: timedelta | None = None

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        check_fields(self.by)
        _EXPECT.span("a period", self.period)
        if self.max_wait is not None:
            _EXPECT.span("a max_wait", self.max_wait)
            least = f"a max_wait of at least the period of {self.period}"
            _EXPECT.value(self.max_wait >= self.period, least, self.max_wait)

    def key(self, payload: BaseModel) -> UniqueKey:
        """Return the key of a payload; it is free when the job begins."""
        return _key(UniqueScope.UNBEGUN, self.by, payload)


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """Of all dispatches within a period only the first runs.

    Attributes:
        by: The fields of the payload that separate one row of dispatches from another.
        period: How long after it the others are left out.
    """

    by: tuple[str, ...]
    period: timedelta

    def __post_init__(self) -> None:
        """Refuse a period that would leave nothing out."""
        check_fields(self.by)
        _EXPECT.span("a period", self.period)

    def key(self, payload: BaseModel) -> UniqueKey:
        """Return the key of a payload."""
        return _key(UniqueScope.PERIOD, self.by, payload, self.period)


Identity = Unique | Debounce | Throttle


def unknown_fields(by: tuple[str, ...], payload_type: type[BaseModel]) -> str:
    """Say which of the fields a payload model does not have; nothing where it has them all."""
    missing = [name for name in by if name not in payload_type.model_fields]
    if not missing:
        return ""
    known = ", ".join(payload_type.model_fields) or "none"
    return f"fields of {payload_type.__name__} ({known}), got {', '.join(missing)}"


def wrong_with(given: Sequence[Identity | None], payload_type: type[BaseModel]) -> str:
    """Say what is expected of the policies of a definition; nothing where they make sense."""
    policies = [each for each in given if each is not None]
    if len(policies) > 1:
        return "one of unique, debounce and throttle, got several"
    return next((unknown_fields(each.by, payload_type) for each in policies), "")


def hashed(*parts: object) -> str:
    """Return a hash of what JSON can carry, the same in every process."""
    return hashlib.sha256(canonical(parts).encode()).hexdigest()


def chosen(by: tuple[str, ...], payload: BaseModel) -> dict[str, object]:
    """Return some fields of a payload, as JSON has them; equal payloads have the same."""
    fields = payload.model_dump(mode="json", include=set(by), by_alias=False)
    sort_sets(payload, fields)
    return fields


def _key(
    scope: UniqueScope, by: tuple[str, ...], payload: BaseModel, period: timedelta | None = None
) -> UniqueKey:
    return UniqueKey(hashed(scope, chosen(by, payload)), scope, period)


def check_fields(by: tuple[str, ...]) -> None:
    """Refuse anything but a tuple of names.

    Raises:
        DefinitionError: If it is something else.
    """
    _EXPECT.words("fields in `by`", by, most=MAX_FIELD_CHARS)
