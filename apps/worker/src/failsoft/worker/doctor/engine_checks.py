"""Checks that the engines can take offers."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial

from failsoft.dispatcher.plugins.plugin import AnyPlugin, AnySite
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.policies.queue import DEFAULT
from failsoft.job_engine.ports.engine import probed_twice
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.message import KeyRing
from failsoft.job_engine.values.findings import Check, Finding, fine, unreachable, warning
from failsoft.ledger import SqlLedger
from failsoft.ledger.opening import shared_database
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.doctor.database import sqlite_path
from failsoft.worker.engine_sites import LedgerOffers, sites


def engine_checks(settings: Settings, limit: timedelta) -> Iterator[Check]:
    """Return what there is to look at for each engine that the settings name.

    A server may take half of the limit for an answer: then its check ends in time, and says which
    answer was missed.
    """
    for name, variable in settings.disabled.items():
        yield Check(name, partial(_off, name, variable))
    opened = LedgerOffers(partial(_opened, settings))
    found = [
        (plugin, replace(site, answer_within=limit / 2)) for plugin, site in sites(settings, opened)
    ]
    for plugin, site in found:
        yield from plugin.checks(site) or (_probed(plugin, site),)
    yield Check("shared servers", lambda: _shared(found))


def _opened(settings: Settings) -> tuple[Ledger, KeyRing]:
    path = sqlite_path(settings)
    if path is not None and not path.exists():
        raise LedgerUnavailableError(f"no file at {path.absolute()}")
    ledger = SqlLedger(shared_database(settings.ledger_url, limit=settings.ledger_timeout))
    return ledger, KeyRing(ledger.signing_keys, SystemClock(), settings.namespace)


def _off(name: str, variable: str) -> Iterator[Finding]:
    yield fine(name, f"switched off by {variable}")


def _probed(plugin: AnyPlugin, site: AnySite) -> Check:
    def look() -> Iterator[Finding]:
        engine = plugin.build(site)
        with closing(engine.caller):
            health = probed_twice(lambda: engine.adapter.probe(DEFAULT, _deadline(site)))
        yield (
            fine(site.name, health.detail)
            if health.healthy
            else unreachable(site.name, health.detail, "")
        )

    return Check(site.name, look)


def _shared(found: list[tuple[AnyPlugin, AnySite]]) -> Iterator[Finding]:
    seen: dict[object, str] = {}
    for plugin, site in found:
        server = plugin.server(site)
        if server is None:
            continue
        other = seen.setdefault(server, site.name)
        if other != site.name:
            remedy = f"give {site.name} a server of its own, or there is nothing to fall back on"
            yield warning(f"{site.name} server", f"is that of {other}, too", remedy)


def _deadline(site: AnySite) -> Deadline:
    return Deadline.after(SystemClock(), site.answer_within)
