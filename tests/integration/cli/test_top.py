"""`failsoft top`: one look as JSON, and a screen that goes on while servers are away."""

from datetime import UTC, datetime, timedelta
from io import StringIO

from rich.console import Console

from failsoft.job_engine.records.job import WorkerInfo, WorkerRecord
from failsoft.testing.ledger_suite.fixtures import LONG, offered
from failsoft.worker.cli.top import drawn, snapshot
from failsoft.worker.exit_codes import TRY_AGAIN
from tests.integration.cli.command_line import CommandLine


def shown(found: object, away: str | None = None) -> str:
    """Return what a terminal of 140 columns shows."""
    terminal = Console(width=140, record=True, file=StringIO())
    terminal.print(drawn(found, away))  # type: ignore[arg-type]
    return terminal.export_text()


def test_one_look_is_there_while_every_broker_is_down(cli: CommandLine) -> None:
    with cli.ledger() as ledger:
        offered(ledger, "rq", queue="default")
        ledger.note_breakers("boot-1", {"rq": (timedelta(seconds=9), "Redis was not reached")})

    found = cli.run("top", "--json").json
    printed = cli.run("top")

    assert {each["name"]: each["state"] for each in found["engines"]}["rq"] == "open"
    assert found["queues"][0]["waiting"] == 1
    assert found["totals"]["offered"] == 1
    assert printed.status == 0
    assert "Redis was not reached" in printed.out


def test_text_of_strangers_moves_no_cursor_and_sets_no_colour(cli: CommandLine) -> None:
    with cli.ledger() as ledger:
        hostile = "\x1b[2J[bold red]x[/]\x07"
        offered(ledger, "rq", queue=hostile)
        worker = WorkerRecord("boot-1", hostile, hostile, "h", 1, 4, info=WorkerInfo())
        ledger.beat(worker, LONG)
        ledger.note_breakers("boot-1", {hostile: (timedelta(0), hostile)})
        ledger.note_switch(hostile, "over", {"to": hostile})
        text = shown(snapshot(ledger, ("rq",)))

    assert "\x1b" not in text
    assert "\x07" not in text
    assert text.count(r"\x1b[2J[bold red]x") >= 4


def test_figures_have_their_age_while_the_ledger_is_away(cli: CommandLine) -> None:
    with cli.ledger() as ledger:
        found = snapshot(ledger, ("rq", "dramatiq"))
    old = type(found)(
        datetime.now(UTC) - timedelta(minutes=3), found.engines, found.queues, found.totals
    )

    text = shown(old, "no answer within 2 s")

    assert "figures of 3m ago" in text
    assert "no answer within 2 s" in text
    assert "trusted" in text
    assert "no figures yet" in shown(None, "no answer")


def test_without_a_ledger_one_look_says_that_it_may_be_tried_again(
    bare_cli: CommandLine,
) -> None:
    answer = bare_cli.run("top", "--json", FAILSOFT_LEDGER_URL="postgresql://u:p@127.0.0.1:1/x")

    assert answer.status == TRY_AGAIN
