from collections.abc import Mapping, Sequence
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from pydantic import ValidationError

from failsoft.job_engine import NonRetryableError
from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.jobs.default.send_email import (
    MAX_RECIPIENTS,
    MAX_ROUNDS,
    PAUSE,
    Email,
    SendEmail,
    send_email,
)
from failsoft.job_engine.jobs.smtp import (
    MailServerUnavailableError,
    Refusal,
    SmtpServer,
    SmtpSettings,
)
from failsoft.job_engine.values.codec import MAX_PAYLOAD_BYTES, encode_payload
from failsoft.testing import FrozenClock
from tests.unit.job_engine.jobs.fakes import Crashed, Job

SETTINGS = SmtpSettings(sender="robot@example.com")
GREYLISTED = Refusal(451, "come back later")
NO_SUCH_USER = Refusal(550, "no such user")


class Server(SmtpServer):
    """Takes mail in memory; refuses recipients as its rounds say."""

    def __init__(self, *rounds: Mapping[str, Refusal]) -> None:
        self.sent: list[tuple[EmailMessage, str, list[str]]] = []
        self._rounds = list(rounds)

    def send(
        self, message: EmailMessage, sender: str, recipients: Sequence[str]
    ) -> Mapping[str, Refusal]:
        again: Any = message_from_bytes(message.as_bytes(), policy=default)
        self.sent.append((again, sender, list(recipients)))
        return self._rounds.pop(0) if self._rounds else {}


def email(**changes: Any) -> Email:
    return Email(**{"to": ["ann@example.com"], "subject": "Hello", "text": "Hi"} | changes)


def send(job: Job, server: Server, mail: Email) -> Any:
    return job.attempt(SendEmail(SETTINGS, job.clock, server), mail)


def sent(**changes: Any) -> EmailMessage:
    server = Server()
    send(Job(), server, email(**changes))
    return server.sent[0][0]


def test_the_mail_says_who_whom_what_and_when() -> None:
    message = sent(
        to=["ann@example.com", "bob@example.com"],
        cc=["cy@example.com"],
        reply_to="desk@example.com",
        sender_name="Zoë, Robot",
        subject="Grüße 🎉",
        headers={"List-Unsubscribe": "<https://example.com/u>"},
    )

    assert message["From"] == '"Zoë, Robot" <robot@example.com>'
    assert message["To"] == "ann@example.com, bob@example.com"
    assert message["Cc"] == "cy@example.com"
    assert message["Reply-To"] == "desk@example.com"
    assert message["Subject"] == "Grüße 🎉"
    assert message["List-Unsubscribe"] == "<https://example.com/u>"
    assert message["Date"] == "Thu, 01 Jan 2026 00:00:00 +0000"


def test_a_text_and_an_html_body_are_alternatives() -> None:
    message = sent(text="Hällo", html="<p>Hällo</p>")

    assert message.get_content_type() == "multipart/alternative"
    kinds = [(part.get_content_type(), part.get_content().strip()) for part in message.iter_parts()]
    assert kinds == [("text/plain", "Hällo"), ("text/html", "<p>Hällo</p>")]


def test_an_html_body_may_stand_alone() -> None:
    message = sent(text=None, html="<p>Hi</p>")

    assert (message.get_content_type(), message.get_content().strip()) == ("text/html", "<p>Hi</p>")


def test_a_mail_is_seven_bits_on_the_wire() -> None:
    message = sent(subject="é" * 300, text="ü" * 2000, sender_name="Zoë")

    assert message.as_bytes().isascii()


def test_blind_copies_reach_the_server_only() -> None:
    server = Server()

    send(Job(), server, email(bcc=["eve@example.com", "ann@example.com"]))

    [(message, _, recipients)] = server.sent
    assert recipients == ["ann@example.com", "eve@example.com"]
    assert "eve" not in message.as_string()


def test_the_payloads_sender_wins_over_the_settings() -> None:
    server = Server()

    send(Job(), server, email(sender="boss@example.org"))

    [(message, sender, _)] = server.sent
    assert sender == message["From"] == "boss@example.org"
    assert message["Message-ID"].endswith("@example.org>")


def test_without_any_sender_the_setting_to_make_is_named() -> None:
    job = Job()

    with pytest.raises(ConfigurationError, match="SMTP_SENDER"):
        job.attempt(SendEmail(SmtpSettings(), job.clock, Server()), email())


def test_a_sender_that_is_no_address_is_refused_at_boot() -> None:
    with pytest.raises(ConfigurationError, match="'robot'"):
        SendEmail(SmtpSettings(sender="robot"), FrozenClock())


def test_every_attempt_carries_the_same_message_id() -> None:
    job, server = Job(), Server()
    job.ledger.crash_before_recording = "send-1"

    with pytest.raises(Crashed):
        send(job, server, email())
    report = send(job, server, email())

    ids = {message["Message-ID"] for message, _, _ in server.sent}
    assert len(server.sent) == 2
    assert ids == {report.message_id} == {"<job-1.send@example.com>"}


def test_a_mail_that_is_recorded_is_not_sent_again() -> None:
    job, server = Job(), Server()

    first, second = send(job, server, email()), send(job, server, email())

    assert first == second
    assert len(server.sent) == 1


def test_recipients_that_are_put_off_are_tried_again_and_the_others_are_not() -> None:
    job, server = Job(), Server({"bob@example.com": GREYLISTED})

    report = send(job, server, email(to=["ann@example.com", "bob@example.com"]))

    assert [recipients for _, _, recipients in server.sent] == [
        ["ann@example.com", "bob@example.com"],
        ["bob@example.com"],
    ]
    assert report.accepted == ("ann@example.com", "bob@example.com")
    assert report.refused == ()
    assert job.ledger.names == ["send-1", "wait-1", "send-2"]
    assert job.clock.now() - FrozenClock().now() == PAUSE


def test_recipients_that_are_put_off_for_ever_are_reported_in_the_end() -> None:
    rounds = [{"bob@example.com": GREYLISTED}] * MAX_ROUNDS
    server = Server(*rounds)

    report = send(Job(), server, email(to=["ann@example.com", "bob@example.com"]))

    assert len(server.sent) == MAX_ROUNDS
    assert report.accepted == ("ann@example.com",)
    assert [(each.address, each.reply) for each in report.refused] == [
        ("bob@example.com", "451 come back later")
    ]


def test_a_recipient_that_is_refused_for_good_is_reported_and_not_tried_again() -> None:
    server = Server({"bob@example.com": NO_SUCH_USER})

    report = send(Job(), server, email(to=["ann@example.com", "bob@example.com"]))

    assert len(server.sent) == 1
    assert [(each.address, each.reply) for each in report.refused] == [
        ("bob@example.com", "550 no such user")
    ]


def test_a_mail_that_is_refused_for_now_is_tried_again_whole() -> None:
    server = Server({"ann@example.com": GREYLISTED, "bob@example.com": NO_SUCH_USER})

    with pytest.raises(MailServerUnavailableError, match="451"):
        send(Job(), server, email(to=["ann@example.com", "bob@example.com"]))


def test_a_mail_that_is_refused_for_good_is_not_tried_again() -> None:
    with pytest.raises(NonRetryableError, match="550 no such user"):
        send(Job(), Server({"ann@example.com": NO_SUCH_USER}), email())


def test_an_address_of_an_international_domain_is_sent_in_ascii() -> None:
    server = Server()

    send(Job(), server, email(to=["ann@straße.example.com"]))

    [(message, _, recipients)] = server.sent
    assert recipients == [message["To"]] == ["ann@xn--strae-oqa.example.com"]


@pytest.mark.parametrize(
    "changes",
    [
        {"to": []},
        {"to": ["ann"]},
        {"to": ["ann@example.com\r\nBcc: eve@example.com"]},
        {"to": ["ann@example.com>\r\nRCPT TO:<eve@example.com"]},
        {"to": ["zoë@example.com"]},
        {"to": [f"{n}@example.com" for n in range(MAX_RECIPIENTS + 1)]},
        {"subject": "Hello\r\nBcc: eve@example.com"},
        {"subject": "Hello\nBcc: eve@example.com"},
        {"subject": "Hello\u2028Bcc: eve@example.com"},
        {"subject": "Hello\x85Bcc: eve@example.com"},
        {"subject": "Hello\x00"},
        {"sender_name": "Robot\r\nBcc: eve@example.com"},
        {"reply_to": "desk@example.com\r\nBcc: eve@example.com"},
        {"headers": {"X-A": "1\r\nBcc: eve@example.com"}},
        {"headers": {"X-A\r\nBcc": "eve@example.com"}},
        {"headers": {"X-A: 1": "2"}},
        {"headers": {"Bcc": "eve@example.com"}},
        {"headers": {"Content-Type": "text/html"}},
        {"headers": {"Message-ID": "<x@example.com>"}},
        {"headers": {"Resent-To": "eve@example.com"}},
        {"text": None},
        {"copies": 2},
    ],
)
def test_a_payload_that_could_do_harm_is_refused_before_it_is_stored(changes: Any) -> None:
    with pytest.raises(ValidationError):
        email(**changes)


def test_the_payload_survives_the_ledger() -> None:
    mail = email(to=["ann@straße.example.com"], cc=["cy@example.com"], headers={"X-A": "é"})

    stored = encode_payload(mail, Email, MAX_PAYLOAD_BYTES)

    assert send_email.decode(stored) == mail


def test_the_handler_fits_its_declaration() -> None:
    assert send_email.bind(SendEmail(SETTINGS, FrozenClock())).handler is not None
    assert send_email.queue.name == "default"
