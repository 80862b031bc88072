"""Nothing that a job, a stranger or a server wrote obeys a terminal or forges a line."""

import logging
import sys
import unicodedata
from collections.abc import Callable, Iterator
from io import StringIO

import click
import pytest
import structlog
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from failsoft.job_engine import FailsoftError
from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.telemetry import Event
from failsoft.worker.cli import doctor
from failsoft.worker.cli import main as command_line
from failsoft.worker.cli.ledger import verify
from failsoft.worker.cli.output import console, print_table, say, show
from failsoft.worker.configuration.report import SettingSource
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.demo.display.live_display import LiveDisplay
from failsoft.worker.demo.display.rendering import Goals
from failsoft.worker.doctor.checks import failure
from failsoft.worker.logs.output import configure_logs, log_event
from failsoft.worker.logs.visible import described, visible, visible_block

#: Every character that a terminal may obey, or show in another order, or not at all.
HOSTILE = [
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *map(chr, [0xAD, 0x61C, 0x180E, *range(0x200B, 0x2010), *range(0x2028, 0x202F)]),
    *map(chr, [*range(0x2060, 0x2070), 0xFEFF, *range(0xFFF9, 0xFFFC), 0xE0001, 0xE007F]),
    *map(chr, [0xD800, 0xDC1B, 0xDFFF, 0xE000, 0x10FFFF]),
]
ALL = "a" + "a".join(HOSTILE) + "a [red]b[/red] [link=http://x]c[/link] :warning: \\"
TITLE = "\x1b]0;pwned\x07"

Place = Callable[[str], object]


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.contextvars.clear_contextvars()


def in_a_cell(text: str) -> None:
    print_table("Jobs", ("id", "job"), [(text, {text: text})])


def in_a_line(text: str) -> None:
    say(text, "red")


def in_an_error(text: str) -> None:
    click.echo(described(FailsoftError(text)))


def in_a_finding(text: str) -> None:
    settings = [SettingSource(text, text, text, text)]
    doctor._show(settings, [failure(text, text, text)], everything=True)


def in_a_violation(text: str) -> None:
    report = verify._Report(listed=[Violation(text, text, text, text, about=text)])
    verify._show(report, is_whole=False)


def in_the_demo(text: str) -> None:
    LiveDisplay(console(), Goals(1, 1)).say(text)


def in_a_log(text: str) -> None:
    configure_logs(load_settings(log_format="console"))
    logging.getLogger(f"shop.{text}").warning("sold %s", text, extra={text: text, "any": [text]})


def in_an_event(text: str) -> None:
    configure_logs(load_settings(log_format="console"))
    log_event(Event("job.retry", text, text, text, text, 1, {"reason": text, "by": text}))


PLACES: list[Place] = [
    in_a_cell,
    in_a_line,
    in_an_error,
    in_a_finding,
    in_a_violation,
    in_the_demo,
    in_a_log,
    in_an_event,
]


def shown(place: Place, text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    out = StringIO()
    out.isatty = lambda: False  # type: ignore[method-assign]  # no colours
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "2000")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", out)
        place(text)
    # The colours of our own log, which stand between the fields.
    text = out.getvalue()
    for code in ("0", "1", "2", "31", "32", "33", "34", "35", "36", "91"):
        text = text.replace(f"\x1b[{code}m", "")
    return text


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
@pytest.mark.fault("F49")
def test_no_character_is_shown_raw_anywhere(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    found = shown(place, ALL, monkeypatch)

    assert not set(HOSTILE) - {"\n"} & set(found)
    assert "[red]b[/red]" in found
    assert ":warning:" in found
    assert found.encode()


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
@pytest.mark.fault("F49")
def test_no_text_forges_a_line(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    forged = "1999-12-31T23:59:59Z [info] all is well"

    for end in ("\n", "\r\n", "\r", "\x85", "\u2028", "\u2029", "\v", "\f"):
        found = shown(place, f"job{end}{forged}", monkeypatch)
        assert not [line for line in found.splitlines() if line.lstrip().startswith("1999")]


@pytest.mark.fault("F49")
def test_a_traceback_keeps_its_lines_and_forges_none(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = f"Traceback …\nValueError: no\n1999-12-31T23:59:59Z [info] forged {TITLE}\n"

    def fail(text: str) -> None:
        configure_logs(load_settings(log_format="console"))
        log_event(Event("job.fail", error=ErrorRecord("ValueError", "no", text)))

    found = shown(fail, trace, monkeypatch)

    assert "\n  | Traceback …\n  | ValueError: no\n  | 1999-12-31T23:59:59Z" in found
    assert r"forged \x1b]0;pwned\x07" in found


def test_an_exception_that_a_job_logs_forges_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(text: str) -> None:
        configure_logs(load_settings(log_format="console"))
        try:
            raise ValueError(text)  # noqa: TRY301 - what is logged is a real one
        except ValueError:
            logging.getLogger("shop").exception("torn", stack_info=True)

    found = shown(fail, f"no{TITLE}\n1999-12-31T23:59:59Z [info] forged", monkeypatch)

    assert not set(HOSTILE) - {"\n"} & set(found)
    assert all(line.startswith("  | ") for line in found.splitlines()[1:])


def test_what_a_user_typed_is_shown_without_control_characters() -> None:
    done = CliRunner().invoke(command_line, ["jobs", "show", "id", f"--{TITLE}"])

    assert done.exit_code == 2
    assert "\x1b" not in done.output


@given(st.text(st.characters()))
def test_any_text_is_one_line_that_shows_every_character(text: str) -> None:
    found = visible(text)

    assert all(each.isprintable() or unicodedata.category(each) == "Zs" for each in found)
    assert found.encode().decode() == found
    assert len(found.splitlines()) <= 1


@given(st.text(st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(" \u3000\xa0")))
def test_text_of_any_script_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


@given(st.text(st.characters()))
def test_every_further_line_of_a_block_stands_behind_its_margin(text: str) -> None:
    first, *others = visible_block(text).split("\n")

    assert visible(first) == first
    assert all(line.startswith("  | ") for line in others)


@given(st.text(st.characters()))
def test_markup_of_a_text_is_text(text: str) -> None:
    out = StringIO()
    Console(file=out, width=10_000, emoji=False, highlight=False).print(show(f"x{text}x"), end="")

    assert out.getvalue() == visible(f"x{text}x")


def test_a_block_of_one_line_has_no_margin() -> None:
    assert visible_block("torn\n") == "torn"
