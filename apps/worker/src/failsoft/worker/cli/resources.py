"""What a command opens, and what is closed when it ends.

Most commands only read the ledger. The modules that dispatch, and the jobs, are imported by the
commands that need them, because that takes longer than most commands do.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.job_engine.errors import (
    JobIdAmbiguousError,
    JobNotFoundError,
    LedgerUnavailableError,
)
from failsoft.ledger import SqlLedger
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.ledger_access import open_ledger

if TYPE_CHECKING:
    from failsoft.dispatcher import Dispatcher
    from failsoft.worker.wiring import App


def opened_ledger(settings: Settings, about: Sequence[str] = ()) -> SqlLedger:
    """Open the ledger for the command that runs; its connections end with the command.

    Args:
        settings: The settings.
        about: The ids of jobs, or their beginnings: of several ledgers that which holds them.

    Raises:
        JobNotFoundError: None of several ledgers holds one of them.
        JobIdAmbiguousError: Several do.
    """
    if about and len(settings.by_ledger()) > 1:
        settings = _holding(settings, about)
    return _open(settings)


def _open(settings: Settings) -> SqlLedger:
    ledger = open_ledger(settings)
    click.get_current_context().call_on_close(ledger.database.close)
    return ledger


def _holding(settings: Settings, about: Sequence[str]) -> Settings:
    holding = {each.ledger_name for text in about for each in _holders(settings, text)}
    if len(holding) > 1:
        raise JobIdAmbiguousError(
            f"expected jobs of one ledger, got some of {', '.join(sorted(holding))}; write more of "
            "their ids, or name the ledger: failsoft --ledger NAME ..."
        )
    return settings.of_ledger(holding.pop())


def _holders(settings: Settings, text: str) -> Sequence[Settings]:
    found, away = list[Settings](), list[LedgerUnavailableError]()
    for each in settings.by_ledger():
        try:
            if _is_known(_open(each), text):
                found.append(each)
        except LedgerUnavailableError as error:
            away.append(error)
    if found:
        return found
    if away:
        raise away[0]
    names = ", ".join(settings.ledgers)
    raise JobNotFoundError(f"expected the id of a job in one of the ledgers {names}, got {text!r}")


def _is_known(ledger: SqlLedger, text: str) -> bool:
    if ledger.find_ids(text, 1):
        return True
    try:
        # One that was pruned, and whose id is remembered.
        ledger.get(text)
    except JobNotFoundError:
        return False
    return True


def opened_app(settings: Settings) -> "App":
    """Put everything together for the command that runs; it is closed with the command."""
    from failsoft.worker.wiring import build  # noqa: PLC0415 - see above

    app = build(settings)
    click.get_current_context().call_on_close(app.close)
    return app


def opened_dispatcher(settings: Settings) -> "Dispatcher":
    """Build a dispatcher to the ledger, or to all of them; it is closed with the command."""
    from failsoft.dispatcher import ShardedDispatcher  # noqa: PLC0415 - see above

    if not settings.ledgers:
        return opened_app(settings).dispatcher
    return ShardedDispatcher(
        tuple(settings.ledgers), lambda name: opened_app(settings.of_ledger(name)).dispatcher
    )


def loaded_catalogue(settings: Settings) -> Catalogue:
    """Import the job modules, which declares their queues, and collect their jobs."""
    from failsoft.worker.bundled_jobs import load_catalogue  # noqa: PLC0415 - see above

    return load_catalogue(settings)
