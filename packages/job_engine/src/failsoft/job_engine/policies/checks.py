"""What the options of a definition must be, one by one."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from failsoft.job_engine.errors import DefinitionError
from failsoft.job_engine.policies.limits import Concurrency, RateLimit
from failsoft.job_engine.policies.retention import Retention
from failsoft.job_engine.policies.retry import RetryPolicy
from failsoft.job_engine.policies.schedule import Schedule
from failsoft.job_engine.policies.uniqueness import Debounce, Throttle, Unique
from failsoft.job_engine.validation import Expect

#: Priorities reach this far above and below zero.
MAX_PRIORITY = 100
#: The highest version of a payload.
MAX_VERSION = 1_000_000
#: The longest tag, and the longest name of an engine.
MAX_WORD_CHARS = 64

Check = Callable[[Expect, Any], None]


def priority(expect: Expect, value: object) -> None:
    """Expect a priority."""
    expect.whole("a priority", value, least=-MAX_PRIORITY, most=MAX_PRIORITY)


def _instance(kind: type, todo: str) -> Check:
    def check(expect: Expect, value: object) -> None:
        name = kind.__name__
        article = "an" if name.startswith("U") else "a"
        expect.a(kind, f"{article} {name}", value, f"write {todo}")

    return check


CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "retry": _instance(RetryPolicy, "RetryPolicy(max_attempts=...)"),
        "timeout": lambda expect, value: expect.span("a timeout", value),
        "priority": priority,
        "engines": lambda expect, value: expect.words("engines", value, most=MAX_WORD_CHARS),
        "tags": lambda expect, value: expect.words("tags", value, most=MAX_WORD_CHARS),
        "unique": _instance(Unique, "Unique(by=(...))"),
        "debounce": _instance(Debounce, "Debounce(by=(...), period=...)"),
        "throttle": _instance(Throttle, "Throttle(by=(...), period=...)"),
        "concurrency": _instance(Concurrency, "Concurrency(limit=...)"),
        "rate_limit": _instance(RateLimit, "RateLimit(limit=..., period=...)"),
        "keep_succeeded": _instance(Retention, "Retention(age=...)"),
        "keep_failed": _instance(Retention, "Retention(age=...)"),
        "idempotency_for": lambda expect, value: expect.span("an idempotency_for", value),
        "schedule": _instance(Schedule, "Cron('0 * * * *') or Every(timedelta(hours=1))"),
        "version": lambda expect, value: expect.whole(
            "a version", value, least=1, most=MAX_VERSION
        ),
    }
)
#: The options that may be None, which means that there is none.
OPTIONAL = frozenset(
    {"timeout", "unique", "debounce", "throttle", "concurrency", "rate_limit", "schedule"}
)


def check_options(name: str, definition: object) -> None:
    """Refuse a definition with an option that could not work."""
    expect = Expect(DefinitionError, f"job {name!r}: ")
    for option, check in CHECKS.items():
        value = getattr(definition, option)
        if value is not None or option not in OPTIONAL:
            check(expect, value)


def check_known(name: str, options: Mapping[str, object], known: Mapping[str, object]) -> None:
    """Refuse an option that there is not."""
    Expect(DefinitionError, f"job {name!r}: ").known("an option of a job", options, known)
