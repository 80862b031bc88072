"""`failsoft adopt`: coming from RQ, Dramatiq or Celery."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click

from failsoft.job_engine.definitions.callables import allow_callables, allowed_modules
from failsoft.job_engine.errors import ConfigurationError
from failsoft.worker.cli.options import json_option
from failsoft.worker.cli.output import counted, print_json, print_table, say
from failsoft.worker.cli.resources import opened_ledger
from failsoft.worker.configuration.settings import Settings, adopted, load_settings

#: The entry points by which the distribution `failsoft-adoption` is found.
GROUP = "failsoft.adoption"

#: What is adopted, and the setting that has the URL of its broker.
_BROKERS = {"rq": "REDIS_URL", "dramatiq": "AMQP_URL", "celery": "CELERY_BROKER_URL"}

#: Whether a schedule was to be recorded, and was: what the table says.
_RECORDED = {(False, False): "no", (True, True): "now", (True, False): "before"}


@click.group()
def adopt() -> None:
    """Come from RQ, Dramatiq or Celery: move what waits there, list what is to be changed."""


@adopt.command("drain")
@click.argument("engine", type=click.Choice(list(_BROKERS)))
@click.option("--queue", required=True, help="The queue of the plain engine.")
@click.option(
    "--url",
    help="The URL of its broker; REDIS_URL, AMQP_URL or CELERY_BROKER_URL where absent.",
)
@click.option("--to", help="The declared queue that the jobs go to; as the shim has it if absent.")
@click.option("--dry-run", is_flag=True, help="Say what would become of each, and move nothing.")
@json_option
def drain_command(
    *, engine: str, queue: str, url: str | None, to: str | None, dry_run: bool, as_json: bool
) -> None:
    """Dispatch what waits in a queue of plain ENGINE: rq, dramatiq or celery.

    Each message becomes one job, however often this is run; what cannot be moved stays where it is.
    Its functions must be allowed by FAILSOFT_CALLABLES. Ends with 1 if something stays.
    """
    _adopt_settings()
    drained = _loaded(engine)(queue, url or _url(engine), to=to, dry_run=dry_run)
    if as_json:
        print_json(drained)
    else:
        would = "would be moved" if dry_run else "moved"
        say(
            f"{counted(drained.moved, 'message')} {would}, {drained.existing} moved before, "
            f"{drained.gone} taken by a worker meanwhile, {drained.refused_count} left",
            "green",
        )
        if drained.refused:
            print_table("left", ("id", "reason"), drained.refused.items())
    if drained.refused_count:
        click.get_current_context().exit(1)


@adopt.command("scan")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@json_option
def scan_command(*, path: Path, as_json: bool) -> None:
    """List the call sites below PATH: what each becomes, and what blocks it.

    It reads Python files and changes none. Ends with 1 if something blocks a call site.
    """
    sites = _loaded("scan")(path)
    if as_json:
        print_json([asdict(site) | {"path": str(site.path)} for site in sites])
    else:
        rows = [
            (f"{each.path}:{each.line}", each.call, each.becomes, each.blocked) for each in sites
        ]
        print_table(
            counted(len(rows), "call site"), ("place", "call", "becomes", "blocked by"), rows
        )
    if any(each.blocked for each in sites):
        click.get_current_context().exit(1)


@adopt.command("import-beat")
@click.option(
    "--record", is_flag=True, help="Record the schedules in the ledger; only list them if absent."
)
@json_option
def import_beat_command(*, record: bool, as_json: bool) -> None:
    """List what becomes of the beat schedule of a Celery app: a schedule of each entry.

    The app is made by a module of FAILSOFT_CALLABLES. Workers whose FAILSOFT_JOBS have
    failsoft.adoption.celery.beat_jobs record the schedules, too, and fire them: one that no worker
    declares does not fire. Ends with 1 if an entry is not carried over.
    """
    settings = _adopt_settings()
    importing = _loaded("celery-beat", extra="celery")
    entries = importing(opened_ledger(settings) if record else None)
    if as_json:
        print_json(entries)
    else:
        carried = [each for each in entries if each["job"]]
        print_table(
            counted(len(carried), "schedule") + ("" if record else " would be recorded"),
            ("schedule", "ticks", "next", "task", "arguments", "queue", "recorded"),
            (
                (
                    each["job"],
                    " ".join(map(str, each["timing"].values())),
                    each["next"],
                    each["task"],
                    json.dumps([*each["args"], each["kwargs"]] if each["kwargs"] else each["args"]),
                    each["queue"],
                    _RECORDED[record, each["recorded"]],
                )
                for each in carried
            ),
        )
        refused = [(each["entry"], each["refusal"]) for each in entries if not each["job"]]
        if refused:
            print_table("not carried over", ("entry", "reason"), refused)
    if any(not each["job"] for each in entries):
        click.get_current_context().exit(1)


def _adopt_settings() -> Settings:
    """Make these settings, and what they allow, the process's until the command ends."""
    settings, command = load_settings(), click.get_current_context()
    command.with_resource(adopted(settings))
    command.call_on_close(partial(allow_callables, allowed_modules()))
    allow_callables(settings.callables)
    return settings


def _loaded(name: str, extra: str | None = None) -> Callable[..., Any]:
    hint = f"run `pip install 'failsoft[adopt-{extra or name}]'`"
    for entry in entry_points(group=GROUP, name=name):
        try:
            found: Callable[..., Any] = entry.load()
        except ImportError as error:
            raise ConfigurationError(
                f"expected the libraries to adopt from {name}, got none ({error.name}); {hint}"
            ) from error
        return found
    raise ConfigurationError(f"expected an installed `failsoft-adoption`, got none; {hint}")


def _url(engine: str) -> str:
    variable = _BROKERS[engine]
    if url := os.environ.get(variable):
        return url
    raise ConfigurationError(
        f"expected the URL of the broker of plain {engine} in --url or {variable}, got none"
    )
