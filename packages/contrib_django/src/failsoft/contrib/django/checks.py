"""The system checks: `manage.py check`, with `--database` or `--deploy` those that connect."""

import os
from collections.abc import Collection, Iterator
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, Warning  # noqa: A004 - Django's names
from django.db import connections, transaction

from failsoft.api import (
    LedgerSchemaError,
    LedgerUnavailableError,
    OptionInvalidError,
    UnknownQueueError,
)
from failsoft.contrib.django.compat import task_backends
from failsoft.contrib.django.options import BackendOptions
from failsoft.contrib.django.transactions import borrowed, is_immediate
from failsoft.dispatcher import default_dispatcher
from failsoft.job_engine.policies.queue import declared_queues, queue_profile


def register() -> None:
    """Have Django run the checks that connect; those that do not are the backend's own."""
    checks.register(of_ledger, Tags.database)
    checks.register(of_deployment, deploy=True)


def of_backend(
    alias: str, queues: Collection[str], options: BackendOptions
) -> Iterator[CheckMessage]:
    """Check what a backend is set to, without connecting to anything.

    Args:
        alias: Its alias.
        queues: Its `QUEUES`.
        options: Its `OPTIONS`.
    """
    for queue in sorted(queues):
        try:
            queue_profile(queue)
        except UnknownQueueError:
            yield Error(
                f"TASKS[{alias!r}]: expected declared queues, got {queue!r}",
                hint=f"declared are {', '.join(declared_queues())}; write declare_queue(...)",
                id="failsoft.E002",
            )
    if options.database not in connections.settings:
        yield Error(
            f"TASKS[{alias!r}]: expected a database of DATABASES, got {options.database!r}",
            id="failsoft.E003",
        )
    elif options.transaction in (None, "join"):
        yield from _of_sqlite(options.database)


def of_ledger(databases: Collection[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check the ledger's schema, and whether it is where its backends join transactions.

    Args:
        databases: The aliases that may be connected to.
        kwargs: What Django gives besides.
    """
    backends = _backends()
    if not backends:
        return []
    found = list[CheckMessage]()
    try:
        for alias, options in backends.items():
            if options.transaction == "join" and options.database in (databases or ()):
                found += _of_database(alias, options.database)
        default_dispatcher().has_workers("default")
    except LedgerSchemaError as error:
        hint = "run `manage.py failsoft ledger upgrade`"
        found.append(Error(str(error), hint=hint, id="failsoft.E001"))
    except LedgerUnavailableError as error:
        found.append(Warning(str(error), id="failsoft.W003"))
    return found


def of_deployment(**kwargs: Any) -> list[CheckMessage]:
    """Check what must be there in production: the ledger, and workers for every queue.

    Args:
        kwargs: What Django gives besides.
    """
    found = of_ledger(databases=list(connections))
    if found or not _backends():
        return found
    return [*_of_workers(), *_of_hosts()]


def _backends() -> dict[str, BackendOptions]:
    options = {
        alias: getattr(task_backends[alias], "failsoft_options", None)
        for alias in task_backends.settings
    }
    return {alias: each for alias, each in options.items() if isinstance(each, BackendOptions)}


def _of_sqlite(alias: str) -> Iterator[CheckMessage]:
    connection = connections[alias]
    if connection.vendor == "sqlite" and not is_immediate(connection):
        yield Error(
            f'DATABASES[{alias!r}]: expected "transaction_mode": "IMMEDIATE" in OPTIONS, got none',
            hint="a transaction that has read cannot wait to write the job; or set the backend's "
            'transaction to "on_commit"',
            id="failsoft.E004",
        )


def _of_database(alias: str, database: str) -> list[CheckMessage]:
    try:
        with transaction.atomic(using=database):
            default_dispatcher().expect_session(borrowed(connections[database]))
    except OptionInvalidError as error:
        hint = 'use FAILSOFT_LEDGER_DATABASE, or set the transaction to "on_commit"'
        return [Error(f"TASKS[{alias!r}]: {error}", hint=hint, id="failsoft.E003")]
    return []


def _of_workers() -> Iterator[CheckMessage]:
    queues = {queue for alias in _backends() for queue in task_backends[alias].queues}
    for queue in sorted(queues or {"default"}):
        if not default_dispatcher().has_workers(queue):
            yield Warning(
                f"expected a live worker of queue {queue!r}, got none; its tasks wait",
                hint="run `manage.py failsoft_worker all`",
                id="failsoft.W001",
            )


def _of_hosts() -> Iterator[CheckMessage]:
    url = os.environ.get("FAILSOFT_LEDGER_URL") or os.environ.get("DATABASE_URL") or "sqlite"
    if url.startswith("sqlite"):
        yield Warning(
            "expected a ledger that several hosts can use, got one on SQLite",
            hint="programs and workers must be on this host; use PostgreSQL for more",
            id="failsoft.W002",
        )
