"""The `OPTIONS` of a backend."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, get_args

from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS

from failsoft.api import DefinitionError, RetryPolicy

#: When a task is recorded: in Django's transaction, after its commit, or at once.
Mode = Literal["join", "on_commit", "immediate"]
#: A task that raises has failed, as with Django's own backends.
ONCE = RetryPolicy(max_attempts=1)

_KNOWN = ("transaction", "retry", "timeout", "engines", "database")


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """What holds for every task of a backend that says nothing else.

    Attributes:
        transaction: When tasks are recorded; None joins where the ledger is in the same database,
            and waits for the commit where it is not.
        retry: What happens when a task raises.
        timeout: The longest an attempt may run; the queue's where None.
        engines: The engines that tasks may run on, in order; all where empty.
        database: The alias of the database whose transactions are joined.
    """

    transaction: Mode | None = None
    retry: RetryPolicy = ONCE
    timeout: timedelta | None = None
    engines: tuple[str, ...] = ()
    database: str = DEFAULT_DB_ALIAS

    @classmethod
    def read(cls, alias: str, given: Mapping[str, Any]) -> "BackendOptions":
        """Read the `OPTIONS` of the backend of an alias.

        Raises:
            ImproperlyConfigured: One is wrong, or there is no such option.
        """
        place = f'TASKS["{alias}"]["OPTIONS"]'
        for name in given:
            if name not in _KNOWN:
                raise ImproperlyConfigured(f"{place}: expected {', '.join(_KNOWN)}, got {name!r}")
        mode = given.get("transaction")
        if mode not in (None, *get_args(Mode)):
            known = ", ".join(get_args(Mode))
            raise ImproperlyConfigured(f"{place}: expected a transaction of {known}, got {mode!r}")
        timeout = given.get("timeout")
        if not isinstance(timeout, timedelta | None):
            raise ImproperlyConfigured(
                f"{place}: expected a timeout of a timedelta, got {timeout!r}"
            )
        return cls(
            transaction=mode,
            retry=_retry(place, given.get("retry")),
            timeout=timeout,
            engines=tuple(given.get("engines", ())),
            database=given.get("database", DEFAULT_DB_ALIAS),
        )


def _retry(place: str, given: object) -> RetryPolicy:
    if given is None:
        return ONCE
    if isinstance(given, RetryPolicy):
        return given
    try:
        if isinstance(given, Mapping):
            return RetryPolicy(**given)
    except (DefinitionError, TypeError) as error:
        raise ImproperlyConfigured(f"{place}: {error}") from error
    raise ImproperlyConfigured(
        f"{place}: expected a retry of a mapping or a RetryPolicy, got {given!r}"
    )
