"""Queues: named lanes, each with a profile that both engines follow.

The set is closed. The three profiles here exist out of the box; declare your own before
the jobs that name them:

    REPORTS = declare_queue(QueueProfile("reports", isolation="process", slots=1))
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from datetime import timedelta
from types import MappingProxyType
from typing import Literal, get_args

from failsoft.job_engine.errors import DefinitionError, UnknownQueueError
from failsoft.job_engine.validation import Expect, did_you_mean, shown

Isolation = Literal["thread", "process"]

_NAME = re.compile(r"[a-z][a-z0-9-]{0,47}")

#: What the names of the queues begin with on the engines, unless a setting says otherwise.
DEFAULT_NAMESPACE = "failsoft"

#: The most attempts side by side in one worker process.
MAX_SLOTS = 10_000


@dataclass(frozen=True, slots=True)
class QueueProfile:
    """How the jobs of one queue run.

    Attributes:
        name: Lower-case letters, digits and dashes, beginning with a letter.
        isolation: `thread`: attempts side by side in one process; `process`: each attempt in a
            child process that the worker can kill.
        slots: Attempts side by side in one worker process.
        slots_by: The same for single engines, by name, where they differ.
        timeout: The longest an attempt may run, unless the job says otherwise.
        lease: How long a claim lasts without renewal; renewed four times as often (rule 12).
        pickup: How long an offer may wait for its claim before the rescuer looks into it.
        overflow: Whether a job that waits longer moves to another engine where fewer wait, even
            though live workers serve its queue; a backlog is no death, so by default it stays.
    """

    name: str
    _: KW_ONLY
    isolation: Isolation = "thread"
    slots: int = 8
    slots_by: Mapping[str, int] = field(default_factory=dict, hash=False)
    timeout: timedelta = timedelta(minutes=5)
    lease: timedelta = timedelta(seconds=60)
    pickup: timedelta = timedelta(seconds=10)
    overflow: bool = False

    def __post_init__(self) -> None:
        """Refuse a profile that could not work."""
        expected = "a queue name of lower-case letters, digits and dashes"
        Expect(DefinitionError).matching(expected, self.name, _NAME)
        expect = Expect(DefinitionError, f"queue {self.name!r}: ")
        expect.one_of("isolation", self.isolation, get_args(Isolation))
        expect.whole("slots", self.slots, least=1, most=MAX_SLOTS)
        expect.a(Mapping, "slots_by={engine: slots}", self.slots_by)
        for engine, slots in self.slots_by.items():
            expect.a(str, "the name of an engine in slots_by", engine)
            expect.whole(f"slots_by[{engine!r}]", slots, least=1, most=MAX_SLOTS)
        for name in ("timeout", "lease", "pickup"):
            expect.span(f"a {name}", getattr(self, name))
        expect.flag("overflow", self.overflow)

    def slots_on(self, engine: str) -> int:
        """Return how many attempts a worker process of an engine has side by side."""
        return self.slots_by.get(engine, self.slots)


DEFAULT = QueueProfile(
    "default",
    isolation="thread",
    slots=32,
    timeout=timedelta(minutes=5),
    lease=timedelta(seconds=60),
)
DATA_SYNC = QueueProfile(
    "data-sync",
    isolation="process",
    slots=2,
    timeout=timedelta(hours=2),
    lease=timedelta(seconds=180),
)
SCHEDULED = QueueProfile(
    "scheduled",
    isolation="process",
    slots=4,
    timeout=timedelta(minutes=15),
    lease=timedelta(seconds=60),
)


def queue_name(profile: QueueProfile, namespace: str = DEFAULT_NAMESPACE) -> str:
    """Return the name of the profile's queue on any engine."""
    return f"{namespace}-{profile.name}" if namespace else profile.name


_declared: dict[str, QueueProfile] = {
    profile.name: profile for profile in (DEFAULT, DATA_SYNC, SCHEDULED)
}


def declare_queue(profile: QueueProfile) -> QueueProfile:
    """Add a queue to the closed set and return its profile.

    Raises:
        DefinitionError: If another profile of that name was declared before.
    """
    expected = "a queue profile"
    Expect(DefinitionError).a(QueueProfile, expected, profile, "write QueueProfile(name, ...)")
    known = _declared.setdefault(profile.name, profile)
    if known != profile:
        differing = [
            each.name
            for each in fields(known)
            if getattr(known, each.name) != getattr(profile, each.name)
        ]
        raise DefinitionError(
            f"queue {profile.name!r} is declared twice: expected {_settings(known, differing)}, "
            f"got {_settings(profile, differing)}; declare a queue of another name, or set the "
            "slots of this one in FAILSOFT_SLOTS"
        )
    return profile


def _settings(profile: QueueProfile, names: Iterable[str]) -> str:
    return ", ".join(f"{name}={getattr(profile, name)}" for name in names)


def queue_profile(name: str) -> QueueProfile:
    """Return the profile of a declared queue.

    Raises:
        UnknownQueueError: If no such queue was declared; the message lists the known ones.
    """
    try:
        return _declared[name]
    except (KeyError, TypeError):
        known = ", ".join(sorted(_declared))
        raise UnknownQueueError(
            f"expected one of the declared queues ({known}), got {shown(name)}"
            f"{did_you_mean(name, _declared)}; "
            "declare it with declare_queue(QueueProfile(...)) before the job, and give its name"
        ) from None


def profile_or_default(name: str) -> QueueProfile:
    """Return the profile of a queue, or a plain one for a queue declared in another program."""
    return _declared.get(name) or QueueProfile(name)


def declared_queues() -> Mapping[str, QueueProfile]:
    """Return every declared queue by name, read-only."""
    return MappingProxyType(_declared)
