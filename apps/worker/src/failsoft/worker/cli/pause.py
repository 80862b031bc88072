"""`pause` and `resume`, of a queue or of a job definition, and the names that both know."""

from collections.abc import Collection
from typing import Any

import click

from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.job_engine.errors import NotFoundError
from failsoft.job_engine.policies.queue import declared_queues
from failsoft.job_engine.records.pauses import Pausable, Pause
from failsoft.job_engine.validation import did_you_mean
from failsoft.ledger import SqlLedger
from failsoft.worker.cli.acting import acting
from failsoft.worker.cli.options import Option, actor, json_option, reason_option
from failsoft.worker.cli.output import answer
from failsoft.worker.cli.resources import loaded_catalogue, opened_ledger
from failsoft.worker.configuration.settings import Settings, load_settings

_TARGETS: dict[Pausable, str] = {"queue": "queue", "job": "definition", "engine": "engine"}

anyway_option: Option = click.option(
    "--anyway", is_flag=True, help="Also a name that is unknown here, as of a job to be deployed."
)


def pause_command(kind: Pausable, known: str) -> click.Command:
    """Return the command that pauses things of this kind."""

    @click.command("pause", help=f"Let no {known} NAME begin; what runs goes on to its end.")
    @click.argument("name")
    @reason_option("Why; shown with the pause.")
    @anyway_option
    @json_option
    def pause(*, name: str, reason: str, anyway: bool, as_json: bool) -> None:
        ledger = _ledger_that_knows(kind, name, anyway=anyway)
        with acting(ledger, "pause", (_TARGETS[kind], name), reason):
            holds = ledger.pause(Pause(kind, name, actor(), reason))
        answer(holds, str(holds), "yellow", as_json=as_json)

    return pause


def resume_command(kind: Pausable, known: str) -> click.Command:
    """Return the command that lets things of this kind go on."""

    @click.command("resume", help=f"Let {known} NAME begin again.")
    @click.argument("name")
    @anyway_option
    @json_option
    def resume(*, name: str, anyway: bool, as_json: bool) -> None:
        ledger = _ledger_that_knows(kind, name, anyway=anyway)
        with acting(ledger, "resume", (_TARGETS[kind], name)):
            was_paused = ledger.unpause(kind, name)
        found = {"kind": kind, "name": name, "was_paused": was_paused}
        change = "goes on" if was_paused else "was not paused"
        answer(found, f"{kind} {name} {change}", "green", as_json=as_json)

    return resume


def _ledger_that_knows(kind: Pausable, name: str, *, anyway: bool) -> SqlLedger:
    """Open the ledger, and refuse a name that neither it nor the job modules contain."""
    settings = load_settings()
    ledger = opened_ledger(settings)
    expect_named(settings, ledger, kind, name, anyway=anyway)
    return ledger


def expect_named(
    settings: Settings, ledger: SqlLedger, kind: Pausable, name: str, *, anyway: bool
) -> None:
    """Refuse the name of a queue or a definition that no job module and no job has.

    Raises:
        NotFoundError: If nothing has that name, unless it is wanted anyway.
    """
    catalogue = loaded_catalogue(settings)  # its modules declare queues
    known = _known(kind, catalogue, ledger)
    if not anyway and name not in known and not _has_jobs(ledger, kind, name):
        raise NotFoundError(
            f"expected a {kind} that is known here ({', '.join(sorted(known))}), got {name!r}"
            f"{did_you_mean(name, known)}; or give --anyway"
        )


def _known(kind: Pausable, catalogue: Catalogue, ledger: SqlLedger) -> Collection[str]:
    paused = {pause.name for pause in ledger.pauses() if pause.kind == kind}
    if kind == "job":
        return paused | {definition.name for definition in catalogue}
    return paused | set(declared_queues()) | {worker.queue for worker in ledger.live_workers()}


def _has_jobs(ledger: SqlLedger, kind: Pausable, name: str) -> bool:
    wanted: Any = {"queue" if kind == "queue" else "name": name}
    return bool(ledger.list_jobs(limit=1, **wanted))
