"""The shipped jobs, bound to their handlers.

A handler is created when its job first runs: a process that only dispatches, or runs other jobs,
opens no client and no database for it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from pydantic import BaseModel

from failsoft.job_engine.clock import SystemClock
from failsoft.job_engine.definitions.callables import allow_callables
from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.jobs.data_sync.import_csv import ImportCsv, import_csv
from failsoft.job_engine.jobs.default.deliver_webhook import DeliverWebhook, deliver_webhook
from failsoft.job_engine.jobs.default.send_email import SendEmail, send_email
from failsoft.job_engine.jobs.default.webhook_settings import WebhookSettings
from failsoft.job_engine.jobs.notifications.send_notification import (
    SendNotification,
    send_notification,
)
from failsoft.job_engine.jobs.scheduled.bulk_action import CarryOnBulk, bulk_action
from failsoft.job_engine.jobs.scheduled.prune_ledger import PruneLedger, prune_ledger
from failsoft.job_engine.jobs.smtp import SmtpSettings
from failsoft.job_engine.policies.schedule import Every
from failsoft.job_engine.steps.context import JobContext
from failsoft.job_engine.telemetry import Listener
from failsoft.ledger import SqlLedger
from failsoft.ledger.database.sqlite.ledger_file import is_open_ledger
from failsoft.ledger.opening import shared_database
from failsoft.ledger.upkeep.pruning import SqlPruner
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.import_tables import SqlTables
from failsoft.worker.logs.output import log_event

Handler = Callable[[Any, JobContext], Any]


def load_catalogue(settings: Settings) -> Catalogue:
    """Import the job modules and collect their jobs, the shipped ones included."""
    catalogue: Catalogue
    allow_callables(settings.callables)
    shipped = shipped_jobs(settings, lambda: catalogue)
    catalogue = Catalogue.from_modules(settings.jobs, also=shipped)
    return catalogue


def shipped_jobs(
    settings: Settings, catalogue: Callable[[], Catalogue], listener: Listener = log_event
) -> Sequence[AnyDefinition]:
    """Return the shipped jobs with their handlers.

    Args:
        settings: The settings.
        catalogue: Returns every job of this process, for the retention of each.
        listener: Called before dead letters are pruned.
    """
    return (
        deliver_webhook.bind(_on_first_run(lambda: _deliver_webhook(settings))),
        send_email.bind(_on_first_run(lambda: _send_email(settings))),
        send_notification.bind(_on_first_run(lambda: _send_notification(settings))),
        import_csv.bind(_on_first_run(lambda: _import_csv(settings))),
        bulk_action.bind(_on_first_run(lambda: _carry_on_bulk(settings))),
        replace(
            prune_ledger.bind(_on_first_run(lambda: _prune_ledger(settings, catalogue, listener))),
            # One run at a time: the next one prunes what it leaves.
            schedule=Every(settings.prune, overlap="skip") if settings.prune else None,
        ),
    )


def _on_first_run(make: Callable[[], Handler]) -> Handler:
    made = cache(make)

    def handler(payload: BaseModel, ctx: JobContext) -> Any:
        return made()(payload, ctx)

    return handler


def _deliver_webhook(settings: Settings) -> DeliverWebhook:
    decided = WebhookSettings(
        secrets=settings.webhook_secrets,
        allow_private=settings.webhook_allow_private,
        timeout=settings.webhook_timeout,
    )
    return DeliverWebhook(decided, SystemClock())


def _send_email(settings: Settings) -> SendEmail:
    server = SmtpSettings(
        host=settings.smtp_host,
        port=settings.smtp_port,
        tls=settings.smtp_tls,
        username=settings.smtp_username,
        password=settings.smtp_password,
        timeout=settings.smtp_timeout,
        sender=settings.smtp_sender,
    )
    return SendEmail(server, SystemClock())


def _send_notification(settings: Settings) -> SendNotification:
    return SendNotification(
        settings.notify.channels, lambda: _deliver_webhook(settings), lambda: _send_email(settings)
    )


def _import_csv(settings: Settings) -> ImportCsv:
    # Imported here, with the HTTP client: a worker loads it for a job that it runs, as that of
    # webhooks is.
    from failsoft.job_engine.jobs.data_sync.csv_source import (  # noqa: PLC0415 - see above
        CsvSource,
        ImportSettings,
    )

    decided = ImportSettings(
        folder=settings.import_folder,
        allow_private=settings.import_allow_private,
        timeout=settings.import_timeout,
        is_barred=is_open_ledger,
    )
    sink = SqlTables(settings.import_url or settings.ledger_url, limit=settings.ledger_timeout)
    return ImportCsv(CsvSource(decided, SystemClock()), sink)


def _carry_on_bulk(settings: Settings) -> CarryOnBulk:
    database = shared_database(settings.ledger_url, limit=settings.ledger_timeout)
    return CarryOnBulk(SqlLedger(database), SystemClock())


def _prune_ledger(
    settings: Settings, catalogue: Callable[[], Catalogue], listener: Listener
) -> PruneLedger:
    database = shared_database(settings.ledger_url, limit=settings.ledger_timeout)
    return PruneLedger(SqlPruner(database), catalogue, listener)
