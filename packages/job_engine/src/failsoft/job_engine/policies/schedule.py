"""When a job is dispatched by itself: `Cron` and `Every`, values that know their ticks."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import BaseModel

from failsoft.job_engine.errors import DefinitionError
from failsoft.job_engine.validation import Expect

Missed = Literal["skip", "latest", "all"]
Overlap = Literal["allow", "skip"]

#: The shortest interval of `Every`.
SHORTEST = timedelta(seconds=1)

_FIVE_FIELDS = re.compile(r"\s*(?:\S+\s+){4}\S+\s*")
_MICROSECOND = timedelta(microseconds=1)
_EXPECT = Expect(DefinitionError, "schedule: ")
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_SPAN = timedelta(minutes=1)


@dataclass(frozen=True)
class Schedule(ABC):
    """What `Cron` and `Every` have in common.

    Attributes:
        missed: What becomes of ticks that passed while no process could fire them: none of them is
            fired (`skip`), the latest one (`latest`), or the newest 1,000, oldest first (`all`).
        overlap: Whether a tick is fired while the job of the tick before has not ended
            (`allow`), or left out, which the schedule then shows (`skip`).
        jitter: Each job waits up to so long after its tick, at random.
        payload: The payload of each job; the payload model without arguments where None.
    """

    _: KW_ONLY
    missed: Missed = "latest"
    overlap: Overlap = "allow"
    jitter: timedelta = timedelta(0)
    payload: BaseModel | None = None

    def __post_init__(self) -> None:
        """Refuse policies that make no sense."""
        _EXPECT.one_of("missed to be", self.missed, get_args(Missed))
        _EXPECT.one_of("overlap to be", self.overlap, get_args(Overlap))
        _EXPECT.span("a jitter", self.jitter, zero=True)
        contradict = self.missed == "all" and self.overlap == "skip"
        _EXPECT.that(not contradict, "missed='all' or overlap='skip'", "both, which contradict")
        is_payload = self.payload is None or isinstance(self.payload, BaseModel)
        _EXPECT.value(is_payload, "a payload that is a pydantic model", self.payload)

    @property
    @abstractmethod
    def timing(self) -> Mapping[str, Any]:
        """Return what decides the ticks, as JSON carries it."""

    @abstractmethod
    def after(self, moment: datetime) -> datetime:
        """Return the first tick after a moment, in UTC."""

    def ticks(self, first: datetime, until: datetime, most: int) -> Sequence[datetime]:
        """Return the newest `most` ticks from `first` to `until`, both included, oldest first.

        However long that is: the work depends on `most` only.
        """
        if most <= 0 or first > until:
            return ()
        span = _FIRST_SPAN
        # Back in growing leaps: an expression does not show how many ticks a year has.
        while True:
            begin = max(first, until - span)
            found = self._between(begin, until)
            if len(found) >= most or begin == first:
                return found[-most:]
            span *= 2

    def spec(self, payload: str | None) -> str:
        """Return the schedule as the JSON text that the ledger keeps and compares.

        Args:
            payload: The declared payload as JSON; None if the model makes it.
        """
        kept = {
            **self.timing,
            "missed": self.missed,
            "overlap": self.overlap,
            "jitter": self.jitter.total_seconds(),
            "payload": payload and json.loads(payload),
        }
        return json.dumps(kept, sort_keys=True)

    def _between(self, first: datetime, until: datetime) -> list[datetime]:
        found = []
        tick = self.after(first - _MICROSECOND)
        while tick <= until:
            found.append(tick)
            tick = self.after(tick)
        return found


@dataclass(frozen=True)
class Cron(Schedule):
    """Ticks by a cron expression of five fields, in a time zone.

    A fixed time that the clocks leap over in spring is fired once, when they have leapt; one that
    comes twice in autumn is fired the first time. An expression whose minute or hour begins with
    `*` follows the clock through both hours, as Debian's cron does.

    Attributes:
        expression: Minute, hour, day of month, month, day of week.
        tz: The name of the time zone whose clocks it follows.
    """

    expression: str
    tz: str = "UTC"

    def __post_init__(self) -> None:
        """Refuse an expression that cannot be read or never comes true, and an unknown zone."""
        super().__post_init__()
        _EXPECT.matching("a cron expression of five fields", self.expression, _FIVE_FIELDS)
        zone_of(self.tz)
        try:
            self.after(_BEGINNING)
        except CronSimError as error:
            expected = f"a cron expression that comes true at some time ({error})"
            raise DefinitionError(
                f"schedule: expected {expected}, got {self.expression!r}"
            ) from None

    @property
    def timing(self) -> Mapping[str, Any]:
        """Return the expression and the zone."""
        return {"cron": self.expression, "tz": self.tz}

    def after(self, moment: datetime) -> datetime:
        """Return the first tick after a moment, in UTC."""
        for tick in CronSim(self.expression, moment.astimezone(zone_of(self.tz))):
            # In the hour that comes twice the next fixed time is one that has passed.
            if (found := tick.astimezone(UTC)) > moment:
                return found
        raise CronSimError("no such day in 50 years")


@dataclass(frozen=True)
class Every(Schedule):
    """Ticks at every multiple of an interval since 1970 in UTC.

    Absolute time: it has no zone, and neither a restart nor a deploy begins it anew.

    Attributes:
        interval: The time from tick to tick, a second or more.
    """

    interval: timedelta

    def __post_init__(self) -> None:
        """Refuse an interval that is too short."""
        super().__post_init__()
        _EXPECT.span("an interval", self.interval, least=SHORTEST)

    @property
    def timing(self) -> Mapping[str, Any]:
        """Return the interval."""
        return {"every": self.interval.total_seconds()}

    def after(self, moment: datetime) -> datetime:
        """Return the first tick after a moment, in UTC."""
        return _BEGINNING + ((moment - _BEGINNING) // self.interval + 1) * self.interval


def schedule_of(spec: str) -> Schedule:
    """Return the schedule that the ledger keeps as this text, without its payload."""
    kept: dict[str, Any] = json.loads(spec)
    jitter = timedelta(seconds=kept["jitter"])
    policies: Any = {"missed": kept["missed"], "overlap": kept["overlap"], "jitter": jitter}
    if "cron" in kept:
        return Cron(kept["cron"], kept["tz"], **policies)
    return Every(timedelta(seconds=kept["every"]), **policies)


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone.

    Raises:
        DefinitionError: If this machine has no such zone.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError):
        raise DefinitionError(
            f"schedule: expected the name of a time zone like Europe/Madrid, got {name!r}; "
            "without a zone database, install tzdata"
        ) from None
