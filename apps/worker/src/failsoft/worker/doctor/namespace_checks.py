"""Checks that the brokers' namespaces are this ledger's."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

from failsoft.dispatcher.offering.engines import Engine
from failsoft.dispatcher.offering.owners import refusal
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import EngineError
from failsoft.job_engine.ports.engine import OwnedEngineAdapter, Owner
from failsoft.job_engine.values.findings import Finding, fine
from failsoft.ledger import SqlLedger
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.doctor.checks import failed
from failsoft.worker.doctor.database import existing_database
from failsoft.worker.engine_sites import sites

BUDGET = timedelta(seconds=1)


def look_at_namespaces(settings: Settings) -> Iterator[Finding]:
    """Look for the mark of another ledger on each broker; set none."""
    with existing_database(settings) as database:
        ledger_id = None if database is None else SqlLedger(database).ledger_id()
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
        return  # the engine's own check reports it
    check = f"namespace {name}"
    if owner is Owner.ANOTHER:
        yield failed(check, refusal(name))
    else:
        yield fine(check, owner.value)
