"""Refusing what is wrong in the same words everywhere: expected …, got …, what to do."""

import re
import reprlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from types import UnionType

#: The longest span that anything lasts, and the moments that anything happens between: what lies
#: beyond cannot be added to a moment, or kept by every database.
LONGEST = timedelta(days=36_500)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(3000, 1, 1, tzinfo=UTC)

#: Who requested something, and why, as any history can keep it.
MAX_ACTOR_CHARS = 128
MAX_REASON_CHARS = 2000

_NOTHING = timedelta(0)
# PostgreSQL keeps no NUL, and no database a lone surrogate.
_UNPRINTABLE = re.compile("[\\0-\\x1f\\ud800-\\udfff]")
_CONTROL = re.compile("[\\r\\n\\t]")
_SHOWN_CHARS = 100
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHOWN_CHARS


def shown(value: object) -> str:
    """Return a wrong value as a message shows it."""
    return str(value) if isinstance(value, timedelta | datetime) else _SHORT.repr(value)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return the question for a name that is near a known one, to end a message; else nothing."""
    close = get_close_matches(name, list(known), 1) if isinstance(name, str) else []
    return f"; did you mean {close[0]!r}?" if close else ""


class Expect:
    """Checks what was given, and refuses it with the error of its caller.

    Where a thing is named, its article is part of the name: `a timeout`, `an expires_at`.
    """

    def __init__(self, refusal: Callable[[str], BaseException], where: str = "") -> None:
        """Refuse with what `refusal` makes of a message.

        Args:
            refusal: An error class, or what makes the exception.
            where: What the message begins with, as in `job 'welcome': `.
        """
        self._refusal = refusal
        self._where = where

    def that(self, met: object, expected: str, got: str, todo: str = "") -> None:
        """Refuse unless it is met; `got` is how the message shows what was given."""
        if not met:
            hint = f"; {todo}" if todo else ""
            raise self._refusal(f"{self._where}expected {expected}, got {got}{hint}")

    def value(self, met: object, expected: str, got: object, todo: str = "") -> None:
        """Refuse a value unless it is met."""
        if not met:
            self.that(met, expected, shown(got), todo)

    def span(
        self,
        name: str,
        value: object,
        *,
        zero: bool = False,
        least: timedelta = _NOTHING,
        most: timedelta = LONGEST,
    ) -> None:
        """Expect a `timedelta` above zero or, with `zero`, not below it."""
        is_span = isinstance(value, timedelta)
        self.value(is_span, f"{name} as a timedelta", value, _as_span(value))
        if isinstance(value, timedelta):
            if least > _NOTHING:
                self.value(value >= least, f"{name} of {least} or more", value)
            if zero:
                self.value(value >= _NOTHING, f"{name} of zero or more", value)
            else:
                self.value(value > _NOTHING, f"{name} above zero", value)
            self.value(value <= most, f"{name} of at most {most}", value)

    def moment(self, name: str, value: object) -> None:
        """Expect an aware `datetime`."""
        todo = "write datetime(..., tzinfo=UTC)"
        self.value(isinstance(value, datetime), f"{name} as a datetime", value, todo)
        if isinstance(value, datetime):
            aware = value.utcoffset() is not None
            self.value(aware, f"{name} with a time zone", value, todo)
            within = EARLIEST <= value < LATEST
            self.value(within, f"{name} between the years 1970 and 3000", value)

    def whole(
        self, name: str, value: object, *, least: int, most: int | None = None, todo: str = ""
    ) -> None:
        """Expect a whole number in a range."""
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        self.value(is_whole, f"{name} as a whole number", value)
        if isinstance(value, int):
            span = f"of at least {least}" if most is None else f"from {least} to {most}"
            within = value >= least and (most is None or value <= most)
            self.value(within, f"{name} {span}", value, todo)

    def flag(self, name: str, value: object) -> None:
        """Expect True or False."""
        self.value(isinstance(value, bool), f"{name} as True or False", value)

    def text(
        self, name: str, value: object, *, most: int, least: int = 1, lines: bool = False
    ) -> None:
        """Expect so many printable characters, or several lines of them."""
        expected = f"{name} of {least} to {most} characters"
        self.value(isinstance(value, str), f"{name} as text", value)
        if isinstance(value, str):
            self.value(least <= len(value) <= most, expected, value)
            kept = _CONTROL.sub("", value) if lines else value
            self.value(not _UNPRINTABLE.search(kept), f"{name} without control characters", value)

    def matching(self, expected: str, value: object, pattern: re.Pattern[str]) -> None:
        """Expect text that a pattern matches as a whole."""
        self.value(isinstance(value, str) and pattern.fullmatch(value), expected, value)

    def one_of(self, name: str, value: object, choices: Sequence[str]) -> None:
        """Expect one of a few words."""
        known = f"{', '.join(choices[:-1])} or {choices[-1]}"
        self.value(isinstance(value, str) and value in choices, f"{name} {known}", value)

    def words(self, name: str, value: object, *, most: int, kind: type | UnionType = tuple) -> None:
        """Expect several words, and not one text, whose letters would be taken for them."""
        is_one = isinstance(value, str)
        todo = f"write ({shown(value)},)" if is_one else ""
        fits = isinstance(value, kind) and not is_one
        expected = f"{name} as a {'tuple' if kind is tuple else 'tuple or list'} of text"
        self.value(fits, expected, value, todo)
        if isinstance(value, Sequence):
            for word in value:
                self.text(f"each of {name}", word, most=most)

    def a(self, kind: type, expected: str, value: object, todo: str = "") -> None:
        """Expect an instance."""
        self.value(isinstance(value, kind), expected, value, todo)

    def callable(self, expected: str, value: object) -> None:
        """Expect a function, or anything that can be called."""
        self.value(callable(value), expected, value)

    def known(self, what: str, given: Mapping[str, object], known: Collection[str]) -> None:
        """Expect nothing but options that there are."""
        for name in (name for name in given if name not in known):
            close = get_close_matches(name, known, 1)
            todo = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
            self.value(False, what, name, todo)


def check_said(expect: Expect, actor: object, reason: object) -> None:
    """Refuse what cannot be the actor or the reason of a request."""
    expect.text("an actor", actor, most=MAX_ACTOR_CHARS)
    expect.text("a reason", reason, least=0, most=MAX_REASON_CHARS, lines=True)


def _as_span(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"write timedelta(seconds={value})"
    return "write timedelta(seconds=...)"
