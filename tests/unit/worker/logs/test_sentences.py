"""Every event reads like a sentence, in whatever logging the process has."""

import ast
import logging
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from failsoft.job_engine.records.states import TRANSITIONS
from failsoft.job_engine.telemetry import Event
from failsoft.worker.logs.output import level_of, log_event
from failsoft.worker.logs.sentences import SENTENCES, sentence
from tests.unit.worker.logs.test_output import FAILURE

ROOT = Path(__file__).parents[4]
KIND = re.compile(r"(job|engine|message|worker|schedule|ledger)\.[a-z_]+")


@cache
def emitted() -> set[str]:
    """Return the kinds of all events that the code emits, as its calls spell them."""
    found = {f"job.{transition.name}" for transition in TRANSITIONS}
    texts = (path.read_text() for path in ROOT.glob("*/*/src/failsoft/**/*.py"))
    for text in filter(KIND.search, texts):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and _emits(node.func):
                found |= {
                    each.value
                    for each in node.args[:2]
                    if isinstance(each, ast.Constant) and isinstance(each.value, str)
                }
    return {kind for kind in found if KIND.fullmatch(kind)}


def _emits(function: ast.expr) -> bool:
    name = getattr(function, "attr", getattr(function, "id", ""))
    return name in {"Event", "of", "_emit", "attempt_event"}


def test_every_kind_of_event_has_a_sentence() -> None:
    silent = {"job.accept", "job.abandon", "job.resume"}

    assert emitted() - silent <= SENTENCES.keys()
    assert len(emitted()) > 30


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            Event("job.claim", "a1", "mail", "default", "rq", 2, {"attempt": 3, "worker": "w"}),
            "job a1 (mail) is claimed by worker w of rq, attempt 3",
        ),
        (
            Event(
                "job.retry", "a1", "mail", detail={"attempt": 1, "reason": "OSError", "error": "no"}
            ),
            "job a1 (mail) is tried again after attempt 1: OSError: no",
        ),
        (
            Event("job.succeed", "a1", "mail", detail={"attempt": 1, "duration_s": 0.25}),
            "job a1 (mail) has succeeded, attempt 1, in 0.25 s",
        ),
        (Event("job.fail", "a1", error=FAILURE), "job a1 has failed, attempt ?: torn"),
        (
            Event(
                "engine.failed_over", engine="rq", detail={"reason": "refused", "to": "dramatiq"}
            ),
            "rq failed over to dramatiq: refused",
        ),
        (Event("engine.failed_over", engine="rq"), "rq failed over"),
        (Event("engine.failed_back", engine="rq"), "rq is back and takes jobs again"),
        (Event("something.new", detail={"reason": "so"}), "something.new: so"),
    ],
)
def test_an_event_is_a_sentence(event: Event, expected: str) -> None:
    assert sentence(event) == expected


def test_a_sentence_is_one_line_without_passwords_however_long_a_stranger_talks() -> None:
    reason = "\x1b[2J\nfake line of redis://u:hunter2@host/0 " + "x" * 10_000

    said = sentence(Event("job.hold", "a1", detail={"reason": reason}))

    assert said.isprintable()
    assert "hunter2" not in said
    assert len(said) < 1000


def test_the_logging_of_a_host_gets_the_sentence_and_the_facts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "failsoft"):
        log_event(Event("job.park", "a1", "mail", "default", "rq", 2, {"reason": "100 % full"}))

    [record] = caplog.records
    said = "job a1 (mail) waits in the ledger until an engine takes it: 100 % full"
    assert record.getMessage() == said
    assert record.levelname == "WARNING"
    facts = vars(record)
    assert (facts["event_kind"], facts["job_id"], facts["epoch"]) == ("job.park", "a1", 2)


ALONE = """
import logging
from failsoft.job_engine.telemetry import Event
from failsoft.worker.logs.output import level_of, log_event
log_event(Event("job.fail", "a1"))
logging.getLogger("failsoft.ledger").error("expected a ledger, got none")
"""


def test_a_library_alone_prints_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == ("", "")


def test_the_page_about_logs_names_every_event_with_its_level() -> None:
    row = re.compile(r"^\| ((?:`[a-z._]+`(?:, )?)+) \| (\w+) \|", re.MULTILINE)
    page = (ROOT / "docs" / "reference" / "logs.md").read_text()

    found = {
        kind: level for kinds, level in row.findall(page) for kind in re.findall(r"[a-z._]+", kinds)
    }

    assert found == {kind: logging.getLevelName(level_of(kind)).lower() for kind in SENTENCES}
