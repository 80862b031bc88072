"""Who is told of what: the kinds of notices, and the rules that choose among them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from types import MappingProxyType

from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.validation import Expect, did_you_mean

#: Every kind of notice, with what it says. `{engine}`, `{queue}` and `{job}` are its own.
KINDS: Mapping[str, str] = MappingProxyType(
    {
        "engine.failed_over": "jobs leave engine {engine}",
        "engine.failed_back": "engine {engine} has jobs again",
        "job.hold": "job {job} is held until a person decides",
        "job.fail": "job {job} has failed",
        "job.crash_loop": "job {job} has failed: its attempts crash",
        "ledger.pruning_dead_letters": "dead letters of {job} are pruned",
        "schedule.skip": "the schedule of {job} has left out three ticks in a row",
        "queue.unserved": "no worker serves queue {queue}, and jobs wait in it",
        "bulk.done": "an action on many jobs is done",
    }
)
#: After so many ticks in a row that were left out there is a notice.
SKIPS = 3
#: What is told of more than once within a rule's `every` is told together, unless a rule says more.
EVERY = timedelta(minutes=10)
#: The longest time for which notices may be gathered: they are kept no longer than eight days.
MOST_EVERY = timedelta(days=7)

_EXPECT = Expect(ConfigurationError, "a rule of notifications: ")
_MOST_CHARS = 128


@dataclass(frozen=True, slots=True)
class NotifyRule:
    """Which notices are told to a channel, and how often.

    Attributes:
        on: Kinds of notices, of which each may have `*`, as in `engine.*`.
        to: The name of the channel.
        job: The names of the jobs that it is for, as in `import_*`. What is about no job, as an
            engine, is only told by a rule for all jobs.
        every: What has been told is told of again after so long; what happens meanwhile waits.
        digest: Whether what happened meanwhile is told together then; otherwise it is not told.
    """

    on: tuple[str, ...]
    to: str
    job: str = "*"
    every: timedelta = EVERY
    digest: bool = True

    def __post_init__(self) -> None:
        """Refuse a rule that chooses nothing.

        Raises:
            ConfigurationError: One of its kinds is none; the message names the known ones.
        """
        _EXPECT.value(self.on, "kinds of notices in `on`", self.on)
        for pattern in self.on:
            known = ", ".join(KINDS)
            hint = did_you_mean(pattern, KINDS).removeprefix("; ")
            is_one = any(fnmatchcase(kind, pattern) for kind in KINDS)
            _EXPECT.value(is_one, f"a kind of notices in `on` ({known})", pattern, hint)
        _EXPECT.text("a channel in `to`", self.to, most=_MOST_CHARS)
        _EXPECT.text("a job in `job`", self.job, most=_MOST_CHARS)
        _EXPECT.span("an `every`", self.every, most=MOST_EVERY)
        _EXPECT.flag("a `digest`", self.digest)

    @property
    def id(self) -> str:
        """Return what the ledger knows it by; a rule that is changed is another one."""
        kept = asdict(self) | {"every": self.every.total_seconds()}
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:32]

    def chooses(self, kind: str, job: str | None) -> bool:
        """Return whether it is for a notice of a kind, about jobs of a name or about none."""
        if not any(fnmatchcase(kind, pattern) for pattern in self.on):
            return False
        return self.job == "*" or (job is not None and fnmatchcase(job, self.job))
