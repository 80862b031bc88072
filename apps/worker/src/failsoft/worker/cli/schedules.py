"""`failsoft schedules list|pause|resume|trigger`."""

import json
from collections.abc import Sequence

import click

from failsoft.dispatcher import Schedules
from failsoft.job_engine.records.schedules import ScheduleRecord
from failsoft.worker.cli.acting import acting
from failsoft.worker.cli.options import json_option
from failsoft.worker.cli.output import answer, counted, plain, print_json, print_table
from failsoft.worker.cli.resources import loaded_catalogue, opened_app
from failsoft.worker.configuration.settings import load_settings


def _schedules() -> Schedules:
    return opened_app(load_settings()).dispatcher.schedules()


def _changed(name: str, action: str) -> ScheduleRecord:
    app = opened_app(load_settings())
    change = getattr(app.dispatcher.schedules(), action)
    with acting(app.ledger, action, ("schedule", name)):
        record: ScheduleRecord = change(name)
    return record


@click.group()
def schedules() -> None:
    """Show, pause, resume and trigger schedules; each is named after its job."""


@schedules.command("list")
@json_option
def list_command(*, as_json: bool) -> None:
    """List every schedule with its next and its last run.

    One that no process declares any more is an orphan: it does not fire.
    """
    _print(_schedules().list(), as_json=as_json)


@schedules.command("pause")
@click.argument("name")
@json_option
def pause(name: str, *, as_json: bool) -> None:
    """Fire no tick of a schedule until it is resumed."""
    _print([_changed(name, "pause")], as_json=as_json)


@schedules.command("resume")
@click.argument("name")
@json_option
def resume(name: str, *, as_json: bool) -> None:
    """Go on with the next tick; those that passed meanwhile do not fire."""
    _print([_changed(name, "resume")], as_json=as_json)


@schedules.command("trigger")
@click.argument("name")
@json_option
def trigger(name: str, *, as_json: bool) -> None:
    """Dispatch the job of a schedule now, besides its ticks."""
    settings = load_settings()
    definition = loaded_catalogue(settings).get(name)
    app = opened_app(settings)
    with acting(app.ledger, "trigger", ("schedule", name)):
        handle = app.dispatcher.schedules().trigger(definition)
    answer(handle.dispatched, handle.id, as_json=as_json)


def _print(found: Sequence[ScheduleRecord], *, as_json: bool) -> None:
    if as_json:
        print_json([_document(each) for each in found])
        return
    print_table(
        counted(len(found), "schedule"),
        ("schedule", "ticks", "state", "next", "last", "id", "left out", "why"),
        (
            (s.name, _ticks(s), _state(s), _next(s), s.last_at, s.last_job_id, *_left_out(s))
            for s in found
        ),
        spare=("left out", "why"),
    )


def _document(record: ScheduleRecord) -> dict[str, object]:
    kept: dict[str, object] = plain(record)
    del kept["former"], kept["read_at"]
    return kept | {"spec": json.loads(record.spec), "state": _state(record)}


def _ticks(record: ScheduleRecord) -> str:
    spec = json.loads(record.spec)
    return f"{spec['cron']} {spec['tz']}" if "cron" in spec else f"every {spec['every']:g} s"


def _state(record: ScheduleRecord) -> str:
    if record.is_orphaned:
        return "orphaned"
    return "paused" if record.paused else "active"


def _left_out(record: ScheduleRecord) -> tuple[object, object]:
    return record.skipped_at, record.skip_reason


def _next(record: ScheduleRecord) -> object:
    return record.next_at if _state(record) == "active" else None
