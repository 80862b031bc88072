import ssl
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import trustme
from pydantic import SecretStr

from failsoft.job_engine.clock import SystemClock
from failsoft.job_engine.errors import NonRetryableError
from failsoft.job_engine.jobs.default.send_email import Email, EmailReport, SendEmail
from failsoft.job_engine.jobs.smtp import MailServerUnavailableError, SmtpServer, SmtpSettings
from tests.integration.jobs.smtp_server import HANG_UP, SmtpScript, smtp_server
from tests.unit.job_engine.jobs.fakes import Job

ANN, BOB = "ann@example.com", "bob@example.com"


@pytest.fixture
def server() -> Iterator[SmtpScript]:
    with smtp_server() as script:
        yield script


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def server_tls(authority: trustme.CA, host: str = "localhost") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    return context


def settings(port: int, **changes: Any) -> SmtpSettings:
    usual: dict[str, Any] = {
        "host": "localhost",
        "port": port,
        "sender": "robot@example.com",
        "timeout": timedelta(seconds=0.5),
        "local_hostname": "test.example.com",
    }
    return SmtpSettings(**usual | changes)


def send(found: SmtpSettings, authority: trustme.CA | None = None, *to: str) -> EmailReport:
    def trusting() -> ssl.SSLContext:
        context = ssl.create_default_context()
        if authority:
            authority.configure_trust(context)
        return context

    mail = Email(to=to or (ANN,), subject="Hello", text="Hi\n.\nBye")
    handler = SendEmail(found, SystemClock(), SmtpServer(found, trusting))
    return Job(clock=SystemClock()).attempt(handler, mail)


def test_the_server_takes_the_mail(server: SmtpScript) -> None:
    report = send(settings(server.port))

    [mail] = server.taken
    assert (mail.sender, mail.recipients) == ("robot@example.com", [ANN])
    assert mail.message.get_content().splitlines() == ["Hi", ".", "Bye"]
    assert mail.message["Message-ID"] == report.message_id
    assert report.accepted == (ANN,)


@pytest.mark.parametrize("moment", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "MESSAGE"])
def test_a_4xx_at_any_moment_is_tried_again(server: SmtpScript, moment: str) -> None:
    server.replies = {moment: "450 not now", "HELO": "450 not now"}

    with pytest.raises(MailServerUnavailableError, match="450 not now"):
        send(settings(server.port))

    assert server.taken == []


@pytest.mark.parametrize("moment", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "MESSAGE"])
def test_a_5xx_at_any_moment_is_not_tried_again(server: SmtpScript, moment: str) -> None:
    server.replies = {moment: "554 never", "HELO": "554 never"}

    with pytest.raises(NonRetryableError, match="554 never"):
        send(settings(server.port))


@pytest.mark.parametrize("moment", ["CONNECT", "EHLO", "MAIL", f"RCPT {ANN}", "DATA", "MESSAGE"])
def test_a_server_that_hangs_up_is_tried_again(server: SmtpScript, moment: str) -> None:
    server.replies = {moment: HANG_UP}

    with pytest.raises(MailServerUnavailableError):
        send(settings(server.port))


@pytest.mark.parametrize("goodbye", [HANG_UP, "500 what?", "gibberish"])
def test_a_mail_that_was_taken_stays_taken_whatever_the_goodbye(
    server: SmtpScript, goodbye: str
) -> None:
    server.replies = {"QUIT": goodbye}

    assert send(settings(server.port)).accepted == (ANN,)


def test_a_server_that_closes_among_the_recipients_has_delivered_to_none(
    server: SmtpScript,
) -> None:
    server.replies = {f"RCPT {BOB}": "421 closing"}

    with pytest.raises(MailServerUnavailableError, match="hung up"):
        send(settings(server.port), None, ANN, BOB)

    assert server.taken == []


def test_a_refused_recipient_does_not_keep_the_mail_from_the_others(server: SmtpScript) -> None:
    server.replies = {f"RCPT {BOB}": "550 no such user"}

    report = send(settings(server.port), None, ANN, BOB)

    assert [mail.recipients for mail in server.taken] == [[ANN]]
    assert report.accepted == (ANN,)
    assert [each.address for each in report.refused] == [BOB]


def test_a_server_that_is_gone_is_tried_again() -> None:
    with smtp_server() as gone:
        port = gone.port

    with pytest.raises(MailServerUnavailableError, match="ConnectionRefusedError"):
        send(settings(port))


def test_a_server_that_says_nothing_is_tried_again(server: SmtpScript) -> None:
    server.replies = {"MAIL": "250-and then"}

    with pytest.raises(MailServerUnavailableError, match=r"timed out|timeout"):
        send(settings(server.port))


def test_starttls_upgrades_the_connection_before_the_login(authority: trustme.CA) -> None:
    with smtp_server(server_tls(authority)) as server:
        server.extensions += ["AUTH PLAIN"]
        found = settings(server.port, tls="starttls", username="robot", password=SecretStr("hush"))

        assert send(found, authority).accepted == (ANN,)

    assert server.commands[:5] == ["EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL"]


def test_a_server_without_starttls_gets_nothing_in_the_clear(server: SmtpScript) -> None:
    with pytest.raises(NonRetryableError, match="STARTTLS"):
        send(settings(server.port, tls="starttls"))

    assert "MAIL" not in server.commands


def test_tls_from_the_first_byte(authority: trustme.CA) -> None:
    with smtp_server(server_tls(authority), from_the_start=True) as server:
        assert send(settings(server.port, tls="tls"), authority).accepted == (ANN,)


@pytest.mark.parametrize(("mode", "from_the_start"), [("tls", True), ("starttls", False)])
def test_a_certificate_of_another_host_is_not_accepted(
    authority: trustme.CA, mode: str, from_the_start: bool
) -> None:
    tls = server_tls(authority, "other.example.com")
    with smtp_server(tls, from_the_start=from_the_start) as server:
        with pytest.raises(MailServerUnavailableError, match="certificate"):
            send(settings(server.port, tls=mode), authority)

        assert server.taken == []


def test_a_refused_login_is_not_tried_again_and_shows_no_password(server: SmtpScript) -> None:
    server.extensions, server.replies = ["AUTH PLAIN"], {"AUTH": "535 who are you?"}
    found = settings(server.port, username="robot", password=SecretStr("hush"))

    with pytest.raises(NonRetryableError, match="535 who are you") as raised:
        send(found)

    assert "hush" not in f"{raised.value}{found}"
