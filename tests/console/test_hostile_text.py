"""Text of strangers is text on every screen, whatever it looks like."""

import html
import json
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from failsoft.job_engine.policies.limits import Limit, Limits
from failsoft.job_engine.policies.uniqueness import hashed
from failsoft.job_engine.ports.console import AuditEntry
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import (
    Conclusion,
    DispatchTry,
    Progress,
    StepKind,
    StepRecord,
    TryOutcome,
    WorkerRecord,
)
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.states import FAIL, HOLD, SUSPEND
from failsoft.job_engine.records.waits import Wait, event_topic
from failsoft.ledger import SqlLedger
from failsoft.testing.ledger_suite.fixtures import LONG, claimed, offered, waiting
from tests.console.conftest import Shown

# ruff: noqa: E501 - one text is worth a line, and some are long
HOSTILE = [
    "<script>alert(1)</script>", "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)', "' onfocus='alert(1)' autofocus='", "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>", "<svg/onload=alert(1)>", "{{7*7}}", "{% raw %}",
    "<!--<script>", "]]><script>alert(1)</script>", "&lt;script&gt;", "<style>*{display:none}</style>",
    "<base href=//evil.example>", "<meta http-equiv=refresh content=0>", "<iframe src=//evil.example>",
    "<form action=//evil.example><input name=x>", "hx-get=//evil.example", '" hx-get="//evil.example',
    "\u202egnp.exe", "\u200b\u200f\u2066", "a\nSet-Cookie: x=1", "a\r\nb", "\x1b[31mred", "\t\x0b\x0c",
    "<a href='javascript:alert(1)'>x</a>", "${alert(1)}", "`alert(1)`", "<math><mtext></mtext></math>",
    "<textarea></textarea><script>", "</textarea><script>alert(1)</script>", "</title><script>",
    "</select><script>", "</pre><script>alert(1)</script>", "<details open ontoggle=alert(1)>",
    "%3Cscript%3E", "\u2028\u2029", "🤖<b>bold</b>", "../../etc/passwd", "//evil.example/x", "?a=b&c=d#e",
    "<x" * 50, "'" * 100, '"' * 100, "\\" * 100, "A" * 120, "<plaintext>", "<noscript><p title='</noscript>",
    "\u00a0\u3000", "ﷺ" * 20, "Ͷ\u0338\u0327", "=1+1", "<xmp>", "<object data=x>", "<embed src=x>",
    "<link rel=stylesheet href=//evil.example>", "<input autofocus onfocus=alert(1)>", "\ufeff<script>",
    '<a href="java\nscript:alert(1)">',
]  # fmt: skip


class Markup(HTMLParser):
    """Counts the elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: set[tuple[str, frozenset[str]]] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add((tag, frozenset(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name in {"href", "src", "action"}]


def _spread(ledger: SqlLedger, text: str, number: int = 0) -> list[str]:
    """Put a text wherever a stranger can; return the ids of the jobs that have it."""
    short = text[:100]
    failed = offered(
        *(ledger, "rq"),
        name=short,
        queue=short,
        payload=json.dumps({short: text, "rows": [text]}),
        tags=(short,),
        idempotency_key=short,
    )
    skipped = DispatchTry("rq", 1, "breaker", TryOutcome.SKIPPED, text)
    ledger.note_tries([(failed.id, skipped)])
    claim = claimed(ledger, failed, worker=short)
    ledger.record(claim, StepRecord(short, 0, StepKind.RUN, json.dumps(text)))
    ledger.note_progress(claim, Progress(1, 2, text, datetime.now(UTC)))
    error = ErrorRecord(short, text, f"Traceback\n{text}")
    ledger.conclude(claim, Conclusion(FAIL, error=error, reason=text))
    held = claimed(ledger, offered(ledger, "rq", name=short, queue=short), worker=short)
    ledger.record(held, StepRecord(short, 0, StepKind.INTENT, "null"))
    ledger.conclude(held, Conclusion(HOLD, error=error, reason=text))
    limits = Limits(Limit(hashed(text), 2))
    other = waiting(ledger, name=short, limits=limits, queue=short, tags=(short,))
    waits = _waiting(ledger, short)
    ledger.beat(WorkerRecord(f"boot-x{number}", "rq", short, short, 1, 1), LONG)
    if short.isprintable():
        ledger.pause(Pause("queue", short, "eve", text))
    actor = short[:60] if short.isprintable() else "eve"
    reason = text if text.isprintable() else ""
    entry = AuditEntry(f"h{number}", actor, "cli eve", "cancel", "job", failed.id, reason)
    ledger.audit(entry)
    ledger.note_switch("rq", "over", {"to": text})
    return [failed.id, held.job_id, other.id, waits]


def _waiting(ledger: SqlLedger, short: str) -> str:
    wait = Wait(event_topic(short, key=short), LONG, event=short, key=short)
    note = {"timeout_s": 3600, "job": None, "event": short, "key": short}
    waits = claimed(ledger, offered(ledger, "rq", name=short, queue=short))
    step = StepRecord(short, 0, StepKind.WAIT, json.dumps(note))
    ledger.conclude(waits, Conclusion(SUSPEND, delay=LONG, step=step, wait=wait))
    return waits.job_id


#: What the screens have without any stranger, once it is known.
_plain: set[tuple[str, frozenset[str]]] = set()


@pytest.fixture
def plain_markup(shown: Shown) -> set[tuple[str, frozenset[str]]]:
    """Return what elements the screens have without any stranger."""
    if _plain:
        return _plain
    client, found = shown.client(), Markup()
    for path in _screens(vars_of(shown)):
        found.feed(client.get(path).text)
    _plain.update(found.elements)
    return _plain


def vars_of(shown: Shown) -> list[str]:
    scene = shown.scene
    return [
        *(scene.taken_over, scene.failed, scene.held, scene.succeeded, scene.scheduled),
        *(scene.offered, scene.running),
    ]


def _screens(ids: list[str]) -> list[str]:
    screens = ["/", "/jobs", "/jobs?cols=job,queue,engine,attempts,age,progress,tags,key,error,due"]
    screens += ["/jobs?state=failed", "/jobs?stat=x", "/held", "/failed", "/queues", "/workers"]
    screens += ["/engines", "/definitions", "/activity", "/bulk?action=retry&state=failed"]
    screens += ["/queues/default", "/definitions/send_digest", "/groups", "/schedules", "/nothing"]
    screens += ["/waits", "/limits", "/groups/g-nightly"]
    screens += [f"/selected?action=cancel&ids={job_id}" for job_id in ids]
    screens += [f"/chains/{job_id}" for job_id in ids[:1]]
    return screens + [f"/jobs/{job_id}" for job_id in ids]


#: So many texts are put into one ledger.
TOGETHER = 16


@pytest.mark.parametrize("place", range(0, len(HOSTILE), TOGETHER))
def test_text_of_strangers_adds_no_element_and_no_attribute_to_any_screen(
    shown: Shown, plain_markup: set[tuple[str, frozenset[str]]], place: int
) -> None:
    client, found, paths = shown.client(), Markup(), list[str]()
    for number, text in enumerate(HOSTILE[place : place + TOGETHER]):
        ids = _spread(shown.ledger, text, number)
        paths += [f"/jobs/{job_id}" for job_id in ids]
        paths += [f"/queues/{_quoted(text[:100])}", f"/definitions/{_quoted(text[:100])}"]
        selected = "".join(f"&ids={job_id}" for job_id in ids)
        paths.append(f"/selected?action=cancel{selected}&back={_quoted(text)}")
        paths += [f"/activity?target={_quoted(text)}", f"/groups/{_quoted(text)}"]
        paths += [f"/jobs?q={_quoted(text)}", f"/jobs/{_quoted(text)}"]
    paths += _screens([])

    for path in paths:
        answer = client.get(path)
        assert answer.status_code != 500, path
        found.feed(answer.text)

    tags = {tag for tag, _ in plain_markup}
    attributes = {name for _, names in plain_markup for name in names}
    assert {tag for tag, _ in found.elements} <= tags | OWN_ELEMENTS
    assert {name for _, names in found.elements for name in names} <= attributes | MAY_COME
    assert all(
        link.startswith(("/", "?", "#")) and not link.startswith("//") for link in found.links
    )


#: Elements of our own that a plain scene does not need, as those of the form to replay a job.
OWN_ELEMENTS = {"time", "select", "option"}
#: Attributes of our own that a plain scene may not need.
MAY_COME = {
    "aria-invalid",
    "role",
    "title",
    "datetime",
    "data-clock",
    "name",
    "value",
    "placeholder",
}


def _quoted(text: str) -> str:
    from urllib.parse import quote  # noqa: PLC0415 - beside its use

    return quote(text, safe="", errors="replace")


def test_a_name_is_shown_as_the_text_that_it_is(shown: Shown) -> None:
    _spread(shown.ledger, HOSTILE[0])

    page = shown.client().get("/jobs").text

    assert html.escape(HOSTILE[0]) in page
    assert HOSTILE[0] not in page
