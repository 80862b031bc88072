"""What each channel gets of a notification, and that nothing a job says means anything there."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook as Reference

from failsoft.job_engine import NonRetryableError
from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.jobs.default.deliver_webhook import DeliverWebhook
from failsoft.job_engine.jobs.default.webhook_settings import WebhookSettings
from failsoft.job_engine.jobs.notifications import messages
from failsoft.job_engine.jobs.notifications.channels import (
    CHANNELS,
    Channel,
    CommandChannel,
    EmailChannel,
)
from failsoft.job_engine.jobs.notifications.notification import (
    MOST_CHARS,
    Happening,
    Notification,
    one_line,
)
from failsoft.job_engine.jobs.notifications.send_notification import (
    NotSentError,
    SendNotification,
    SentNotification,
)
from failsoft.job_engine.jobs.public_http import ForbiddenAddressError
from failsoft.testing import FrozenClock
from tests.integration.jobs.receiver import receiving
from tests.unit.job_engine.jobs.fakes import Job

URL = "https://chat.example.com/services/hush"
SECRET = f"whsec_{base64.b64encode(b's' * 24).decode()}"
HOSTILE = "<!channel> <script>alert(1)</script> *b* @everyone [x](http://e)\r\nX-Evil: 1\x00\u202e"
NOW = datetime.now(UTC)


def notification(reason: str = "refused", count: int = 1, **changes: Any) -> Notification:
    happening = Happening(
        id="n", kind="job.fail", at=NOW, job="import", job_id="7", reason=reason, **changes
    )
    return Notification(
        channel="ops", kind="job.fail", count=count, first_at=NOW, last_at=NOW,
        happenings=(happening,) * min(count, 5),
    )  # fmt: skip


def channel(kind: str, **given: Any) -> Channel:
    return CHANNELS[kind].model_validate({"kind": kind, **given})


def sent(
    chosen: Channel, said: Notification, *answers: httpx.Response
) -> tuple[list[httpx.Request], SentNotification]:
    taken: list[httpx.Request] = []
    left = list(answers)

    def receive(request: httpx.Request) -> httpx.Response:
        request.read()
        taken.append(request)
        return left.pop(0) if left else httpx.Response(204)

    # The reference takes no signature that is five minutes old.
    job = Job(clock=FrozenClock(datetime.now(UTC)))
    settings = WebhookSettings(secrets={"main": SecretStr(SECRET)})
    handler = SendNotification(
        {"ops": chosen},
        lambda: DeliverWebhook(settings, job.clock, httpx.MockTransport(receive)),
        lambda: pytest.fail("no mail"),
    )
    return taken, job.attempt(handler, said)


def body_of(kind: str, said: Notification, **given: Any) -> tuple[httpx.Request, Any]:
    [taken], _ = sent(channel(kind, url=URL, **given), said)
    return taken, json.loads(taken.content)


def test_a_webhook_is_signed_and_has_the_facts() -> None:
    taken, body = body_of("webhook", notification(), secret="main")

    Reference(SECRET).verify(taken.content, dict(taken.headers))
    assert body["type"] == "failsoft.job.fail"
    assert body["data"]["count"] == 1
    assert body["data"]["happenings"][0]["reason"] == "refused"
    assert str(taken.url) == URL


def test_slack_gets_text_in_which_nothing_is_markup() -> None:
    _, body = body_of("slack", notification(HOSTILE))

    assert body["mrkdwn"] is False
    assert "<" not in body["text"]
    assert "&lt;!channel&gt;" in body["text"]


def test_discord_mentions_and_formats_nothing() -> None:
    _, body = body_of("discord", notification(HOSTILE))

    assert body["allowed_mentions"] == {"parse": []}
    assert r"\*b\*" in body["content"]
    assert r"\@everyone" in body["content"]
    assert len(body_of("discord", notification("*" * 900, 5))[1]["content"]) <= 2000


def test_teams_gets_a_card_of_plain_text() -> None:
    _, body = body_of("teams", notification(HOSTILE))

    [attached] = body["attachments"]
    blocks = attached["content"]["body"]
    assert {block["type"] for block in blocks} == {"RichTextBlock"}
    assert {run["type"] for block in blocks for run in block["inlines"]} == {"TextRun"}


def test_ntfy_gets_json_at_its_root_and_no_header_of_a_strangers() -> None:
    chosen = channel("ntfy", url="https://ntfy.example.com/alarms", token="hush")
    [taken], _ = sent(chosen, notification(HOSTILE, 5))

    body = json.loads(taken.content)
    assert str(taken.url) == "https://ntfy.example.com/"
    assert body["topic"] == "alarms"
    assert len(body["message"].encode()) <= messages.MOST_OF_NTFY
    assert taken.headers["authorization"] == "Bearer hush"
    assert not any("evil" in name.lower() for name in taken.headers)


def test_a_mail_has_one_subject_line_and_escaped_html() -> None:
    chosen = channel("email", to=["ops@example.com"])
    assert isinstance(chosen, EmailChannel)

    mail = messages.mail(notification(HOSTILE), chosen)

    assert "\n" not in mail.subject
    assert mail.html is not None
    assert "<script>" not in mail.html
    assert "&lt;script&gt;" in mail.html
    assert "X-Evil" in (mail.text or "")


@pytest.mark.parametrize("text", ["x" * 10_000, HOSTILE, "a\u2028b", "\ud800"])
def test_what_strangers_say_is_one_short_line(text: str) -> None:
    line = one_line(text)

    assert len(line) <= MOST_CHARS
    assert line.isprintable()


def test_a_digest_says_how_many_there_were() -> None:
    said = notification(count=499)

    assert "499 times" in said.title
    assert said.lines[-1] == "and 494 more"


def test_a_program_gets_the_message_on_its_input_and_no_secret(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILSOFT_LEDGER_URL", "hush")
    out = tmp_path / "out"
    words = ["sh", "-c", 'cat > "$1"; env >> "$1"', "sh", str(out)]

    _, done = sent(channel("command", command=words), notification("$(touch evil)"))

    said, _, environment = out.read_text().partition("PATH=")
    assert done.kind == "command"
    assert "$(touch evil)" in said
    assert "hush" not in environment


def test_a_program_that_fails_is_tried_again_and_one_that_is_not_there_is_not() -> None:
    with pytest.raises(NotSentError, match="got 3: no"):
        sent(channel("command", command=["sh", "-c", "echo no >&2; exit 3"]), notification())
    with pytest.raises(NonRetryableError, match="expected a program that can be run"):
        sent(channel("command", command=["/nowhere/page"]), notification())
    slow = CommandChannel(command=("sleep", "60"), timeout=timedelta(milliseconds=50))
    with pytest.raises(NotSentError, match=r"expected sleep to end in 0\.05 s"):
        sent(slow, notification())


def test_a_channel_that_the_worker_does_not_have_is_a_wrong_setting() -> None:
    handler = SendNotification({}, lambda: pytest.fail("none"), lambda: pytest.fail("none"))

    with pytest.raises(ConfigurationError, match=r"channel of FAILSOFT_NOTIFY \(none\), got 'ops'"):
        Job().attempt(handler, notification())


def test_a_channel_shows_its_host_alone() -> None:
    chosen = channel("slack", url=URL)

    assert chosen.place == "https://chat.example.com"
    assert "hush" not in repr(chosen)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_apprise_sends_to_what_its_urls_name() -> None:
    with receiving() as receiver:
        chosen = channel("apprise", urls=[f"json://127.0.0.1:{receiver.port}/hush"])
        _, done = sent(chosen, notification())
        receiver.status = 500
        with pytest.raises(NotSentError, match="expected json:// to take"):
            sent(chosen, notification())
    with pytest.raises(NonRetryableError, match="got 1 of 1 that it does not"):
        sent(channel("apprise", urls=["nonsense://hush"]), notification())

    assert done.kind == "apprise"
    assert "job import has failed" in json.loads(receiver.taken[0].body)["title"]


def test_a_private_address_is_refused_unless_it_is_allowed() -> None:
    job = Job()
    chosen = channel("slack", url="http://127.0.0.1:9/hush")
    handler = SendNotification(
        {"ops": chosen},
        lambda: DeliverWebhook(WebhookSettings(), job.clock),
        lambda: pytest.fail("no mail"),
    )

    with pytest.raises(ForbiddenAddressError, match=r"got 127\.0\.0\.1"):
        job.attempt(handler, notification())
