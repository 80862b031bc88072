"""Are the brokers' namespaces this ledger's?"""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from failsoft.dispatcher.offering.engines import Engine
from failsoft.dispatcher.offering.owners import refusal
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import EngineError
from failsoft.job_engine.ports.engine import OwnedEngineAdapter, Owner
from failsoft.job_engine.values.findings import Finding, fine
from failsoft.ledger import SqlLedger
from failsoft.ledger.database.database import ledger_url
from failsoft.ledger.opening import shared_database
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.doctor.checks import failed
from failsoft.worker.engine_sites import sites

BUDGET = timedelta(seconds=1)


def look_at_namespaces(settings: Settings) -> Iterator[Finding]:
    """Look for the mark of another ledger on each broker; set none."""
    url = ledger_url(settings.ledger_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return
    with closing(shared_database(settings.ledger_url, limit=settings.ledger_timeout)) as database:
        ledger_id = SqlLedger(database).ledger_id()
    if ledger_id is None:
        return
    for plugin, site in sites(settings):
        engine = plugin.build(site)
        with closing(engine.caller):
            yield from _look(site.name, engine, ledger_id)


def _look(name: str, engine: Engine, ledger_id: str) -> Iterator[Finding]:
    adapter, deadline = engine.adapter, Deadline.after(SystemClock(), BUDGET)
    if not isinstance(adapter, OwnedEngineAdapter):
        return
    try:
        owner = engine.caller.call(lambda: adapter.owner(ledger_id, deadline, "look"), deadline)
    except EngineError:
        return  # the engine's own check says that it is away
    check = f"namespace {name}"
    if owner is Owner.ANOTHER:
        yield failed(check, refusal(name))
    else:
        yield fine(check, owner.value)
