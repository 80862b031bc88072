"""The composition root: the only module that names concrete classes.

`build` shows how Failsoft is put together. The jobs are loaded by `bundled_jobs`: a program that
only dispatches imports nothing that only the handlers of the shipped ones need.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from failsoft.dispatcher import Dispatcher, ShardedDispatcher
from failsoft.dispatcher.maintenance.activity import ActivityNotes
from failsoft.dispatcher.maintenance.cron import CronScheduler
from failsoft.dispatcher.maintenance.maintenance import Maintenance
from failsoft.dispatcher.maintenance.notifier import Notifier
from failsoft.dispatcher.maintenance.rescuer import Rescuer
from failsoft.dispatcher.maintenance.route_guards import RouteGuards
from failsoft.dispatcher.maintenance.stager import Stager
from failsoft.dispatcher.offering.breaker import BreakerPolicy
from failsoft.dispatcher.offering.engines import EngineSet
from failsoft.dispatcher.offering.offerer import Offerer
from failsoft.dispatcher.offering.router import LiveWorkers, Router
from failsoft.dispatcher.offering.try_log import TryLog
from failsoft.job_engine.clock import Clock, SystemClock
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.measuring import Measures
from failsoft.job_engine.records.message import KeyRing
from failsoft.job_engine.telemetry import Listener
from failsoft.ledger import SqlLedger
from failsoft.ledger.database.database import driver_modules
from failsoft.worker.configuration.settings import Settings, process_settings
from failsoft.worker.engine_sites import LedgerOffers, build_engines, release_engines
from failsoft.worker.ledger_access import FEW, open_database, open_ledger
from failsoft.worker.logs.output import log_event
from failsoft.worker.processes.deaths import DeathNotices
from failsoft.worker.tracing import trace_if_wanted

__all__ = [
    "ALONE",
    "FEW",
    "KEEPERS",
    "App",
    "build",
    "death_notices",
    "dispatcher_from_environment",
    "modules_of_children",
    "open_database",
    "open_ledger",
]

#: The connections to PostgreSQL of the process of one attempt.
ALONE = 2
#: The connections of a worker besides one for each slot: for leases, heartbeats, maintenance.
KEEPERS = 4


@dataclass(frozen=True, slots=True)
class App:
    """Failsoft, put together for one process."""

    settings: Settings
    clock: Clock
    listener: Listener
    ledger: SqlLedger
    keys: KeyRing
    engines: EngineSet
    router: Router
    dispatcher: Dispatcher
    maintenance: Maintenance
    offers: LedgerOffers
    measures: Measures

    def close(self) -> None:
        """Write what is queued, and close every connection of this process."""
        self.dispatcher.close()


def build(
    settings: Settings,
    listener: Listener = log_event,
    jobs: Iterable[AnyDefinition] = (),
    *,
    connections: int = FEW,
    measures: Measures | None = None,
    clock: Clock | None = None,
) -> App:
    """Put everything together for one process.

    Args:
        settings: The settings.
        listener: Called with every event.
        jobs: The jobs whose schedules this process declares and fires.
        connections: The most connections to PostgreSQL, unless the settings name a number.
        measures: What counts; a new one where None.
        clock: Where the parts get their time from; the system's where None.

    Raises:
        ConfigurationError: If a setting is wrong.
        LedgerSchemaError: If the ledger's schema is not this code's.
        LedgerUnavailableError: If the ledger does not answer.
    """
    trace_if_wanted(settings)
    clock, measures = clock or SystemClock(), measures or Measures()
    listener = measures.listening(listener)
    offers = LedgerOffers()
    adapters = build_engines(settings, offers)
    # Opened last: a refusal above leaves nothing open.
    ledger = open_ledger(settings, connections)
    keys = KeyRing(ledger.signing_keys, clock, settings.namespace)
    offers.bind(ledger, keys)
    tries = TryLog(ledger, measures)
    engines = EngineSet(
        adapters,
        _breaker_policy(settings),
        clock=clock,
        listener=tries.listening(listener),
        ledger_id=ledger.ledger_id(),
    )
    live = LiveWorkers(ledger, clock)
    router = Router(settings.engine_names, tuple(settings.disabled), engines, live)
    offerer = Offerer(
        *(ledger, engines, keys, tries),
        clock=clock,
        listener=listener,
        budget=settings.dispatch_budget,
    )

    def release() -> None:
        ledger.database.close()
        release_engines(settings)

    dispatcher = Dispatcher(ledger, router, offerer, listener=listener, release=release)
    stager = Stager(ledger, router, offerer, listener=listener)
    rescuer = Rescuer(
        *(ledger, router, offerer), listener=listener, looks_every=settings.maintenance_every
    )
    cron = CronScheduler(ledger, jobs, clock=clock, listener=listener)
    guards = RouteGuards(ledger, router, clock=clock, listener=listener)
    notes = ActivityNotes(ledger, engines, clock)
    engines.noting(notes.note_breakers)
    maintenance = Maintenance(
        *(engines, stager, rescuer, cron),
        guards=guards,
        notes=notes,
        notifier=_notifier(settings, ledger, clock, listener),
    )
    return App(
        *(settings, clock, listener, ledger, keys, engines, router),
        *(dispatcher, maintenance, offers, measures),
    )


def _notifier(
    settings: Settings, ledger: SqlLedger, clock: Clock, listener: Listener
) -> Notifier | None:
    if not settings.notify.rules:
        return None
    # Imported here, with the jobs that it dispatches.
    from failsoft.worker.notifications import Telegraph  # noqa: PLC0415 - see above

    return Notifier(ledger, settings.notify.rules, Telegraph(clock), listener=listener)


def death_notices(settings: Settings) -> DeathNotices:
    """Put together what marks a supervisor's dead children in the ledger."""

    def opened() -> tuple[SqlLedger, Callable[[], object]]:
        database = open_database(settings, ALONE)
        return SqlLedger(database), database.close

    return DeathNotices(opened)


def modules_of_children(settings: Settings) -> tuple[str, ...]:
    """Return the modules of every child process of an attempt, which the fork server preloads."""
    return (*settings.jobs, *driver_modules(settings.ledger_url))


def dispatcher_from_environment() -> Dispatcher:
    """Build the dispatcher that `dispatch_job` uses; found as an entry point."""
    return dispatcher_of(process_settings())


def dispatcher_of(settings: Settings) -> Dispatcher:
    """Build a dispatcher to the ledger of the settings, or to all of them if there are several.

    Also in a worker of one of them: a job dispatches to the ledger of its `shard`.

    Raises:
        ConfigurationError: If a setting is wrong.
        LedgerUnavailableError: If the only ledger does not answer.
    """
    if not settings.ledgers:
        return build(settings).dispatcher
    return ShardedDispatcher(
        tuple(settings.ledgers), lambda name: build(settings.of_ledger(name)).dispatcher
    )


def _breaker_policy(settings: Settings) -> BreakerPolicy:
    return BreakerPolicy(
        probe_every=settings.probe_every,
        healthy_probes=settings.healthy_probes,
        min_open=settings.min_open,
        ramp=settings.ramp,
    )
