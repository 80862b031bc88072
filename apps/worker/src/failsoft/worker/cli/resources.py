"""What a command opens, and what is closed when it ends."""

from typing import TYPE_CHECKING

import click

from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.ledger import SqlLedger
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.ledger_access import open_ledger

if TYPE_CHECKING:
    from failsoft.worker.wiring import App


def opened_ledger(settings: Settings) -> SqlLedger:
    """Open the ledger for the command that runs; its connections end with the command."""
    ledger = open_ledger(settings)
    click.get_current_context().call_on_close(ledger.database.close)
    return ledger


def opened_app(settings: Settings) -> "App":
    """Put everything together for the command that runs; it is closed with the command."""
    # Imported here, with the libraries of all engines: most commands read the ledger alone, and
    # this would take longer than they do.
    from failsoft.worker.wiring import build  # noqa: PLC0415 - see above

    app = build(settings)
    click.get_current_context().call_on_close(app.close)
    return app


def loaded_catalogue(settings: Settings) -> Catalogue:
    """Import the job modules, which declares their queues, and collect their jobs."""
    # Imported here, with the shipped jobs and their HTTP client: commands that call no job's code
    # need none of it, and this would take longer than they do.
    from failsoft.worker.bundled_jobs import load_catalogue  # noqa: PLC0415 - see above

    return load_catalogue(settings)
