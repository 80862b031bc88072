"""What the options of messages, actors and middleware become."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from dramatiq import Actor, Middleware
from dramatiq.common import compute_backoff
from dramatiq.middleware import AgeLimit, Retries, TimeLimit
from tenacity import RetryCallState

from failsoft.adoption.definition import ONCE, Policies
from failsoft.job_engine.policies.retry import MAX_ATTEMPTS, RetryPolicy

#: The options of actors that are carried over; Dramatiq refuses others where one is declared.
ACTOR_OPTIONS = frozenset(
    {
        "max_retries",
        "min_backoff",
        "max_backoff",
        "retry_when",
        "throws",
        "time_limit",
        "max_age",
        "on_success",
        "on_failure",
        "store_results",
        "pipe_target",
        "pipe_ignore",
    }
)
#: The options of messages that Dramatiq adds, and that mean nothing here.
ADDED = frozenset(
    {
        "eta",
        "delay",
        "pipe_target",
        "redis_message_id",
        "requeue_timestamp",
        "retries",
        "traceback",
    }
)

_MOST_MILLISECONDS = timedelta(days=365).total_seconds() * 1000

M = TypeVar("M", bound=Middleware)

Options = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorRetries(RetryPolicy):
    """The retries of an actor, whose predicate may decide about them.

    Attributes:
        retry_when: Whether it is tried again, from how often it was and what it raised.
    """

    retry_when: Callable[[int, BaseException], bool] | None = None

    def delay(self, failed_attempts: int, error: Exception) -> timedelta | None:
        """Return how long to wait after the given failure, or None to give up."""
        when = self.retry_when
        if when is not None and not when(failed_attempts - 1, error):
            return None
        return RetryPolicy.delay(self, failed_attempts, error)


def option(name: str, message: Options, actor: Actor[Any, Any], default: Any = None) -> Any:
    """Return an option of a message, or its actor's where the message has none."""
    found = message.get(name)
    return actor.options.get(name, default) if found is None else found


def policies(
    message: Options, actor: Actor[Any, Any], middleware: Iterable[Middleware]
) -> Policies:
    """Return the retries and the timeout of a message.

    Args:
        message: The message's options.
        actor: Its actor.
        middleware: The broker's, which have the defaults.
    """
    given = list(middleware)
    limit = _of(TimeLimit, given)
    most = None if limit is None else option("time_limit", message, actor, limit.time_limit)
    has_limit = most is not None and math.isfinite(most) and most <= _MOST_MILLISECONDS
    timeout = timedelta(milliseconds=most or 0) if has_limit else None
    retries = _of(Retries, given)
    return Policies(ONCE if retries is None else _retry(message, actor, retries), timeout)


def age_limit(
    message: Options, actor: Actor[Any, Any], middleware: Iterable[Middleware]
) -> timedelta | None:
    """Return how old a message may become before it is begun; None for any age."""
    limit = _of(AgeLimit, middleware)
    most = None if limit is None else option("max_age", message, actor, limit.max_age)
    return timedelta(milliseconds=most) if most else None


def _retry(message: Options, actor: Actor[Any, Any], retries: Retries) -> RetryPolicy:
    least = option("min_backoff", message, actor, retries.min_backoff)
    longest = option("max_backoff", message, actor, retries.max_backoff)
    most = option("max_retries", message, actor, retries.max_retries)
    when = actor.options.get("retry_when", retries.retry_when)
    throws = option("throws", {}, actor) or ()

    def wait(state: RetryCallState) -> float:
        _, delay = compute_backoff(state.attempt_number - 1, factor=least, max_backoff=longest)
        return delay / 1000

    return ActorRetries(
        # A predicate decides alone, as in Dramatiq.
        max_attempts=MAX_ATTEMPTS if most is None or when is not None else most + 1,
        wait=wait,
        non_retryable=throws if isinstance(throws, tuple) else (throws,),
        retry_when=when,
    )


def _of(kind: type[M], middleware: Iterable[Middleware]) -> M | None:
    return next((each for each in middleware if isinstance(each, kind)), None)
