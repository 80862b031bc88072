"""What the options of a dispatch must be, one by one; see `DispatchOptions`."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.definitions.links import Link
from failsoft.job_engine.errors import (
    JobIdInvalidError,
    OptionInvalidError,
    UnknownQueueError,
)
from failsoft.job_engine.policies.checks import CHECKS as OF_DEFINITIONS
from failsoft.job_engine.policies.checks import MAX_WORD_CHARS
from failsoft.job_engine.policies.queue import queue_profile
from failsoft.job_engine.records.message import is_job_id
from failsoft.job_engine.validation import Expect, shown

#: The longest idempotency key.
MAX_KEY_CHARS = 255
#: The longest key of a shard.
MAX_SHARD_CHARS = 128

_EXPECT = Expect(OptionInvalidError)
_WRITE_A_LINK = "write Link(job, payload)"


def _job_id(expect: Expect, value: object) -> None:
    if not is_job_id(value):
        raise JobIdInvalidError(
            f"expected a job id of 1 to 64 letters, digits, `_` or `-`, got {shown(value)}"
        )


def _queue(expect: Expect, value: object) -> None:
    expect.text("a queue", value, most=MAX_WORD_CHARS)
    try:
        queue_profile(str(value))
    except UnknownQueueError as error:
        raise OptionInvalidError(str(error)) from None


def _words(name: str) -> Callable[[Expect, object], None]:
    return lambda expect, value: expect.words(name, value, most=MAX_WORD_CHARS, kind=list | tuple)


CHECKS: Mapping[str, Callable[[Expect, Any], None]] = MappingProxyType(
    {
        "job_id": _job_id,
        "idempotency_key": lambda expect, value: expect.text(
            "an idempotency_key", value, most=MAX_KEY_CHARS
        ),
        "idempotency_for": OF_DEFINITIONS["idempotency_for"],
        "on_duplicate": lambda expect, value: expect.one_of(
            "on_duplicate", value, ("return_existing", "raise", "replace")
        ),
        "unique": OF_DEFINITIONS["unique"],
        "debounce": OF_DEFINITIONS["debounce"],
        "throttle": OF_DEFINITIONS["throttle"],
        "concurrency": OF_DEFINITIONS["concurrency"],
        "rate_limit": OF_DEFINITIONS["rate_limit"],
        "delay": lambda expect, value: expect.span("a delay", value, zero=True),
        "run_at": lambda expect, value: expect.moment("a run_at", value),
        "expires_at": lambda expect, value: expect.moment("an expires_at", value),
        "expires_in": lambda expect, value: expect.span("an expires_in", value),
        "queue": _queue,
        "priority": OF_DEFINITIONS["priority"],
        "engines": _words("engines"),
        "tags": _words("tags"),
        "shard": lambda expect, value: expect.text("a shard", value, most=MAX_SHARD_CHARS),
        "session": lambda expect, value: None,
        "confirm": lambda expect, value: expect.one_of("confirm", value, ("engine", "pickup")),
        "budget": lambda expect, value: expect.span("a budget", value),
        "pickup": lambda expect, value: expect.span("a pickup deadline", value),
    }
)
#: The options that may be None, as if they were not given; `unique` and its like: none at all.
OPTIONAL = frozenset(
    {
        "job_id",
        "idempotency_key",
        "unique",
        "debounce",
        "throttle",
        "concurrency",
        "rate_limit",
        "delay",
        "run_at",
        "expires_at",
        "expires_in",
        "session",
        "pickup",
    }
)


def check_options(options: Mapping[str, Any], known: Mapping[str, object]) -> None:
    """Refuse options that are out of their range, or that there are not."""
    _EXPECT.known("an option of a dispatch", options, known)
    for name, value in options.items():
        if value is not None or name not in OPTIONAL:
            CHECKS[name](_EXPECT, value)


def check_shard(shard: object) -> None:
    """Refuse what is no key of a shard."""
    if shard is not None:
        CHECKS["shard"](_EXPECT, shard)


def check_job(job: object) -> None:
    """Refuse what is no job."""
    todo = "decorate the function with @job(), or declare_job(...) it"
    _EXPECT.a(JobDefinition, "a job", job, todo)


def check_links(links: object) -> None:
    """Refuse what is no list of the jobs of a chain or a group."""
    _EXPECT.a(Sequence, "a list of links", links)
    for link in links if isinstance(links, Sequence) else ():
        _EXPECT.a(Link, "a link", link, _WRITE_A_LINK)


def check_completion(completion: object) -> None:
    """Refuse what is no completion job of a group."""
    fits = completion is None or isinstance(completion, JobDefinition | Link)
    _EXPECT.value(fits, "a completion job, or a link to one", completion, _WRITE_A_LINK)
