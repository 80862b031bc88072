"""Comparing what was dispatched with what a test expects, and the words where they differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from failsoft.dispatcher.options.options import DispatchOptions
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.validation import did_you_mean
from failsoft.testkit.results import Dispatched

#: The options by which a dispatch may be looked for.
OPTIONS = frozenset(DispatchOptions.__annotations__)
#: The most dispatches that a message lists.
MOST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Expected:
    """What a test expects of a dispatch.

    Attributes:
        job: Its definition; None for any.
        payload: The whole payload; None for any.
        options: Options of the dispatch, by name.
        fields: Fields of the payload, by name.
    """

    job: AnyDefinition | None
    payload: BaseModel | None
    options: Mapping[str, object]
    fields: Mapping[str, object]

    @classmethod
    def of(
        cls, job: AnyDefinition | None, payload: BaseModel | None, wanted: Mapping[str, object]
    ) -> "Expected":
        """Tell options from fields of the payload.

        Raises:
            AssertionError: A name is neither; the message names those there are.
        """
        fields = {name: value for name, value in wanted.items() if name not in OPTIONS}
        if job is not None:
            known = job.payload_type.model_fields
            for name in fields:
                if name not in known:
                    raise AssertionError(
                        f"expected a field of {job.payload_type.__name__} "
                        f"({', '.join(known) or 'none'}) or an option of a dispatch, got {name!r}"
                        f"{did_you_mean(name, [*known, *OPTIONS])}"
                    )
        options = {name: value for name, value in wanted.items() if name in OPTIONS}
        return cls(job, payload, options, fields)

    def __str__(self) -> str:
        wanted = {**self.fields, **self.options}
        if self.payload is not None:
            wanted = {"payload": self.payload, **wanted}
        named = ", ".join(f"{name}={value!r}" for name, value in wanted.items())
        what = "a job" if self.job is None else self.job.name
        return f"{what}({named})"

    def differences(self, seen: Dispatched) -> list[str]:
        """Return in which ways a dispatch is another one; empty if it is this one."""
        found = []
        if self.job is not None and seen.name != self.job.name:
            return [f"job: expected {self.job.name}, got {seen.name}"]
        if self.payload is not None and seen.payload != self.payload:
            found.append(f"payload: expected {self.payload!r}, got {seen.payload!r}")
        for name, wanted in self.fields.items():
            value = _field(seen.payload, name)
            if not _equal(value, wanted):
                found.append(_difference(name, wanted, value))
        for name, wanted in self.options.items():
            value = _option(seen, name)
            if not _equal(value, wanted):
                found.append(_difference(name, wanted, value))
        return found

    def matches(self, seen: Dispatched) -> bool:
        """Return whether a dispatch is as it was expected."""
        return not self.differences(seen)


def listing(expected: Expected, seen: Sequence[Dispatched]) -> str:
    """Return what was dispatched, the nearest first, each with what differs."""
    if not seen:
        return "nothing was dispatched"
    nearest = sorted(seen, key=lambda each: _distance(expected, each))
    lines = ["dispatched, the nearest first:"]
    for each in nearest[:MOST_SHOWN]:
        lines.append(f"  {shown(each)}")
        lines += [f"    ^ {difference}" for difference in expected.differences(each)]
    if len(nearest) > MOST_SHOWN:
        lines.append(f"  and {len(nearest) - MOST_SHOWN} more")
    return "\n".join(lines)


def shown(seen: Dispatched) -> str:
    """Return a dispatch in a line."""
    payload: object = seen.payload
    if isinstance(payload, BaseModel):
        payload = {name: getattr(payload, name) for name in type(payload).model_fields}
    fields = payload.items() if isinstance(payload, Mapping) else ()
    named = ", ".join(f"{name}={value!r}" for name, value in fields)
    delay = "" if seen.delay is None else f", delay {seen.delay}"
    return f"{seen.name}({named}), queue {seen.queue}{delay}"


def _distance(expected: Expected, seen: Dispatched) -> tuple[bool, int]:
    is_another = expected.job is not None and seen.name != expected.job.name
    return is_another, len(expected.differences(seen))


def _difference(name: str, wanted: object, value: object) -> str:
    types = ""
    if type(wanted) is not type(value) and str(wanted) == str(value):
        types = f" (a {type(wanted).__name__} and a {type(value).__name__})"
    return f"{name}: expected {wanted!r}, got {value!r}{types}"


def _field(payload: object, name: str) -> Any:
    if isinstance(payload, Mapping):
        return payload.get(name)
    return getattr(payload, name, None)


def _option(seen: Dispatched, name: str) -> object:
    if name == "queue":
        return seen.queue
    if name == "delay":
        return seen.delay
    return seen.options.get(name)


def _equal(value: object, wanted: object) -> bool:
    if isinstance(value, tuple) and isinstance(wanted, (list, tuple)):
        return list(value) == list(wanted)
    # 1 is not True, and 7 is not "7": a test says which it means.
    return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)
