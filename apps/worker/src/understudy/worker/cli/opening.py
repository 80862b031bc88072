"""What a command opens, and closes when it ends, however it ends."""

import click

from understudy.ledger import SqlLedger
from understudy.worker.settings import Settings
from understudy.worker.wiring import App, build, open_ledger


def opened_ledger(settings: Settings) -> SqlLedger:
    """Open the ledger for the command that runs; its connections end with the command."""
    ledger = open_ledger(settings)
    click.get_current_context().call_on_close(ledger.database.close)
    return ledger


def opened_app(settings: Settings) -> App:
    """Put everything together for the command that runs; all of it ends with the command."""
    app = build(settings)
    click.get_current_context().call_on_close(app.close)
    return app
