"""The demo's live table, and the summary at its end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from failsoft.job_engine.records.states import JobState
from failsoft.worker.demo.checks import Evidence, Verdict
from failsoft.worker.demo.display.status import EngineView, Status
from failsoft.worker.logs.visible import visible

_BREAKERS: Mapping[str, str] = {"closed": "green", "open": "bold red", "ramping": "yellow"}
_STATES: Mapping[JobState, str] = {
    JobState.SCHEDULED: "cyan",
    JobState.OFFERED: "blue",
    JobState.RUNNING: "yellow",
    JobState.SUCCEEDED: "green",
    JobState.FAILED: "red",
}
_SERVERS: Mapping[bool | None, Text] = {
    True: Text("up", style="green"),
    False: Text("down", style="bold red"),
    None: Text("none", style="dim"),
}
_WIDTH = 78


@dataclass(frozen=True, slots=True)
class Goals:
    """What the live table counts up to."""

    webhooks: int
    rows: int


def draw(status: Status, goals: Goals) -> RenderableType:
    """Draw the live table."""
    bars = Table.grid(padding=(0, 2), expand=True)
    bars.add_column(no_wrap=True)
    bars.add_column(ratio=1)
    bars.add_column(justify="right", no_wrap=True)
    bars.add_row("webhooks received", *_bar(status.webhooks, goals.webhooks))
    bars.add_row("rows imported", *_bar(status.rows, goals.rows))
    parts = Group(_engines(status.engines), "", _states(status), "", bars)
    return Constrain(Panel(parts), _WIDTH)


def _engines(engines: Sequence[EngineView]) -> Table:
    table = Table(box=None, expand=True, pad_edge=False, header_style="dim")
    for column in ("engine", "server", "breaker"):
        table.add_column(column)
    for column in ("workers", "running", "succeeded"):
        table.add_column(column, justify="right")
    for engine in engines:
        table.add_row(
            Text(visible(engine.name), style="bold"),
            _SERVERS[engine.server_runs],
            Text(engine.breaker, style=_BREAKERS.get(engine.breaker, "")),
            *(str(number) for number in (engine.workers, engine.running, engine.done)),
        )
    return table


def _states(status: Status) -> Text:
    parts = [
        Text.assemble((f"{status.states.get(state, 0)}", f"bold {style}"), f" {state}")
        for state, style in _STATES.items()
    ]
    return Text("   ").join(parts)


def _bar(done: int, goal: int) -> tuple[RenderableType, str]:
    return ProgressBar(total=goal, completed=done), f"{done:,} of {goal:,}"


def summary(evidence: Evidence, verdict: Verdict, problems: Sequence[str]) -> RenderableType:
    """Draw the summary: every number, and the conditions that were not met."""
    good = "No job was lost, and none had two authorities"
    title = Text(
        visible("; ".join(problems)) or good, style="bold red" if problems else "bold green"
    )
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    for name, value in _rows(evidence, verdict):
        table.add_row(Text(visible(name)), value)
    return table


def _rows(e: Evidence, v: Verdict) -> Sequence[tuple[str, str]]:
    failover = "never" if v.failover_ms is None else f"{v.failover_ms:,.1f} ms"
    primary, fallback = e.engines
    again = e.webhooks_taken - e.webhooks_unique
    return [
        ("jobs succeeded", f"{v.succeeded:,} of {v.dispatched:,}"),
        ("jobs failed, jobs lost", f"{v.failed:,}, {v.lost:,}"),
        ("two authorities over one job, or a row twice", f"{v.double_authority:,}"),
        *((f"jobs finished by {name}", f"{count:,}") for name, count in v.by_engine.items()),
        *((f"jobs in ledger {name}", f"{count:,}") for name, count in v.by_ledger.items()),
        ("jobs resumed by another attempt after their last step", f"{v.resumed_jobs:,}"),
        ("rows imported", f"{v.rows_imported:,} of {v.rows_expected:,}"),
        ("webhooks received", f"{v.webhooks_received_unique:,} of {v.webhooks_expected:,}"),
        ("of these, sent again under the same id", f"{again:,}"),
        ("messages of before that the server still had", f"{v.messages_returned:,}"),
        ("stale messages refused", f"{v.stale_messages_refused:,}"),
        (f"from the kill until {fallback} accepted a job", failover),
        (f"new jobs ran on {primary} again", "yes" if v.failed_back else "no"),
    ]
