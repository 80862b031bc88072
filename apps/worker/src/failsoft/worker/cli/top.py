"""`failsoft top`: engines, queues and what happened last, live in a terminal."""

import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from failsoft.dispatcher.fleet import (
    FRESH,
    LAST_HOUR,
    EngineRow,
    QueueRow,
    engine_rows,
    queue_rows,
)
from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.ports.console import Notice
from failsoft.job_engine.records.engine_switch import DisabledEngine
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.values.visible import visible
from failsoft.ledger import SqlLedger
from failsoft.worker.cli.options import json_option
from failsoft.worker.cli.output import print_json
from failsoft.worker.configuration.ledgers import expect_one
from failsoft.worker.configuration.settings import Settings, load_settings
from failsoft.worker.ledger_access import open_ledger
from failsoft.worker.processes.signals import on_stop_signals

#: The longest call of the ledger: the table shows what it has rather than wait.
MOST = timedelta(seconds=2)
_NOTICES = 8
_BLOCKS = "▁▂▃▄▅▆▇█"
_TOTALS = (JobState.HELD, JobState.FAILED, JobState.SCHEDULED, JobState.OFFERED, JobState.RUNNING)
_WHAT = {
    "engine.failed_over": "jobs left",
    "engine.failed_back": "has jobs again:",
    "job.hold": "a job is held:",
    "job.fail": "a job failed for good:",
    "job.crash_loop": "a job kills its processes:",
    "bulk.done": "a bulk is through",
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the ledger has said.

    Attributes:
        at: When it was read.
        engines: A row for each engine.
        queues: A row for each queue that has jobs or workers.
        totals: How many jobs are in each state in which few are.
        notices: What happened last, the newest first.
    """

    at: datetime
    engines: Sequence[EngineRow]
    queues: Sequence[QueueRow]
    totals: Mapping[str, int]
    notices: Sequence[Notice] = field(default_factory=tuple)


@click.command()
@click.option(
    "--every",
    type=click.FloatRange(0.2, 60),
    default=1.0,
    show_default=True,
    help="How many seconds pass between two looks.",
)
@json_option
def top(*, every: float, as_json: bool) -> None:
    """Show engines, queues and what happened last, live, until a signal.

    Everything comes from the ledger: it works while every broker is down, and shows the last
    figures with their age while the ledger is. Prints one look and ends with --json, and where
    standard output is no terminal.
    """
    settings = load_settings()
    expect_one(settings.ledgers, settings.ledger_name)
    short = settings.model_copy(update={"ledger_timeout": min(settings.ledger_timeout, MOST)})
    if as_json:
        print_json(_as_json(_Looks(short).look()))
    elif sys.stdout.isatty():
        _follow(_Looks(short), every)
    else:
        Console().print(drawn(_Looks(short).look(), None))


class _Looks:
    """Looks at the ledger, which is opened by the first that reaches it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ledger: SqlLedger | None = None

    def look(self) -> Snapshot:
        if self._ledger is None:
            self._ledger = open_ledger(self._settings, 1)
        return snapshot(self._ledger, self._settings.engine_names)


def snapshot(ledger: SqlLedger, engine_names: Sequence[str]) -> Snapshot:
    """Return what the ledger says now.

    Raises:
        LedgerUnavailableError: It does not answer.
    """
    now = datetime.now(UTC)
    tally, workers = ledger.tally(), ledger.live_workers()
    switches: list[Pause | DisabledEngine] = [*ledger.pauses(), *ledger.disabled_engines()]
    notices = ledger.notices(limit=20).items
    totals = {
        str(state): sum(each.count for each in tally if each.state is state) for state in _TOTALS
    }
    return Snapshot(
        now,
        engine_rows(engine_names, workers, ledger.breakers(FRESH), switches, notices),
        queue_rows(tally, workers, switches, ledger.samples(now - LAST_HOUR)),
        totals,
        notices[:_NOTICES],
    )


def drawn(found: Snapshot | None, away: str | None) -> RenderableType:
    """Return a snapshot as a terminal shows it.

    Args:
        found: What was read last; None where nothing ever was.
        away: Why the ledger does not answer now; None where it does.
    """
    parts: list[RenderableType] = []
    if away is not None:
        age = "no figures yet" if found is None else f"figures of {_age(found.at)} ago"
        parts.append(Text(f"! the ledger does not answer, {age}: {visible(away)}", "bold red"))
    if found is not None:
        parts += [_engines(found), _queues(found), _line_of_totals(found), _happened(found)]
    return Group(*parts)


def _follow(looks: _Looks, every: float) -> None:
    over = threading.Event()
    on_stop_signals(over.set)
    found: Snapshot | None = None
    with Live(console=Console(), screen=True, auto_refresh=False) as live:
        while not over.is_set():
            away = None
            try:
                found = looks.look()
            except LedgerUnavailableError as error:
                away = str(error)
            live.update(drawn(found, away), refresh=True)
            over.wait(every)


def _engines(found: Snapshot) -> Table:
    table = _table("engine", "state", "workers", "slots busy", "since", "why")
    for row in found.engines:
        state, look = _STATES[row.state]
        opened = row.open_in[0] if row.open_in else None
        why = "" if opened is None else opened.reason
        table.add_row(
            Text(visible(row.name), "bold"),
            Text(state, look),
            str(row.workers),
            f"{row.busy}/{row.slots}",
            ""
            if opened is None
            else f"{_age(opened.since)} in {len(row.open_in)} of {row.processes}",
            Text(visible(str(row.off) if row.off else why)),
        )
    return table


_STATES = {
    "trusted": ("● trusted", "green"),
    "open": ("✕ open", "bold red"),
    "off": ("‖ off", "yellow"),
}


def _queues(found: Snapshot) -> Table:
    table = _table(
        "queue", "waiting", "running", "oldest due", "scheduled", "workers", "last hour", ""
    )
    for row in found.queues:
        served = ", ".join(
            f"{visible(engine)} {each.workers} ({each.busy}/{each.slots})"
            for engine, each in sorted(row.served.items())
        )
        table.add_row(
            Text(visible(row.name), "bold"),
            f"{row.waiting:,}",
            f"{row.running:,}",
            Text(_age(row.oldest), "bold yellow" if row.is_late else "") if row.oldest else "",
            f"{row.scheduled:,}",
            Text(served) if served else Text("! none", "bold red" if row.is_unserved else "yellow"),
            _line(row.ended),
            Text("‖ paused" if row.pause else "", "yellow"),
        )
    return table


def _line_of_totals(found: Snapshot) -> Text:
    totals = found.totals
    text = Text()
    looks = {"held": "magenta", "failed": "red"}
    for state, number in totals.items():
        text.append(f"{state} {number:,}   ", looks.get(state, "") if number else "dim")
    text.append(f"as of {found.at:%H:%M:%S} UTC", "dim")
    return text


def _happened(found: Snapshot) -> Table:
    table = _table("ago", "what happened")
    for each in found.notices:
        what = _WHAT.get(each.kind, visible(each.kind))
        name = each.job_id or each.engine or ""
        detail = ", ".join(f"{key} {value}" for key, value in each.detail.items())
        table.add_row(_age(each.at), Text(visible(f"{what} {name}  {detail}")[:200]))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, expand=True, header_style="dim", padding=(0, 2, 0, 0))
    for place, name in enumerate(columns):
        last = place == len(columns) - 1
        table.add_column(name, no_wrap=True, overflow="ellipsis", ratio=1 if last else None)
    return table


def _line(values: Sequence[int]) -> str:
    most = max(values, default=0)
    if not most:
        return ""
    return "".join(_BLOCKS[(len(_BLOCKS) - 1) * value // most] for value in values)


def _age(moment: datetime) -> str:
    seconds = max(0, int((datetime.now(UTC) - moment).total_seconds()))
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _as_json(found: Snapshot) -> dict[str, Any]:
    return {
        "at": found.at,
        "engines": [
            {
                "name": row.name,
                "state": row.state,
                "workers": row.workers,
                "busy": row.busy,
                "slots": row.slots,
                "open_in": row.open_in,
                "off": row.off,
            }
            for row in found.engines
        ],
        "queues": [
            {
                "name": row.name,
                "waiting": row.waiting,
                "scheduled": row.scheduled,
                "running": row.running,
                "held": row.held,
                "failed": row.failed,
                "oldest_due": row.oldest,
                "workers": {engine: each.workers for engine, each in row.served.items()},
                "paused": row.pause,
            }
            for row in found.queues
        ],
        "totals": dict(found.totals),
        "notices": found.notices,
    }
