"""One SMTP conversation, and what the server's replies mean for the job that sends."""

import smtplib
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from typing import Literal

from pydantic import SecretStr

from failsoft.job_engine.errors import FailsoftError, NonRetryableError

TlsMode = Literal["none", "starttls", "tls"]

_PERMANENT = range(500, 600)


class MailServerUnavailableError(FailsoftError):
    """The mail server did not take it, or not now; the job is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpSettings:
    """The mail server, as the operator decides.

    Attributes:
        host: Its name or address.
        port: Its port.
        tls: `none`; `starttls`: the plain connection is upgraded, or given up; `tls`: from the
            first byte on.
        username: For its login; empty for none.
        password: For its login.
        timeout: How long it may take to connect, and for each reply.
        sender: The address mail comes from where the payload names none.
        local_hostname: How this host names itself; looked up where None, which may be slow.
    """

    host: str = "localhost"
    port: int = 25
    tls: TlsMode = "none"
    username: str = ""
    password: SecretStr = field(default_factory=lambda: SecretStr(""))
    timeout: timedelta = timedelta(seconds=30)
    sender: str = ""
    local_hostname: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the server did not take the mail for one recipient."""

    code: int
    text: str

    @property
    def is_permanent(self) -> bool:
        """Return whether it would say the same again."""
        return self.code in _PERMANENT

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class SmtpServer:
    """Hands mail to a server; one connection for each."""

    def __init__(
        self,
        settings: SmtpSettings,
        tls_context: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        self._settings = settings
        self._tls_context = tls_context

    def send(
        self, message: EmailMessage, sender: str, recipients: Sequence[str]
    ) -> Mapping[str, Refusal]:
        """Hand the server a message; return the recipients that it refused, perhaps all.

        Raises:
            MailServerUnavailableError: If it did not answer, or said 4xx.
            NonRetryableError: If it said 5xx, or cannot do what the settings require.
        """
        with _translated():
            smtp = self._connect()
            try:
                self._secure(smtp)
                refused = _hand_over(smtp, message, sender, recipients)
                _say_goodbye(smtp)
            finally:
                smtp.close()
        return refused

    def _connect(self) -> smtplib.SMTP:
        settings = self._settings
        seconds = settings.timeout.total_seconds()
        if settings.tls == "tls":
            return smtplib.SMTP_SSL(
                settings.host,
                settings.port,
                settings.local_hostname,
                timeout=seconds,
                context=self._tls_context(),
            )
        return smtplib.SMTP(settings.host, settings.port, settings.local_hostname, timeout=seconds)

    def _secure(self, smtp: smtplib.SMTP) -> None:
        if self._settings.tls == "starttls":
            smtp.starttls(context=self._tls_context())
        if self._settings.username:
            smtp.login(self._settings.username, self._settings.password.get_secret_value())


def _hand_over(
    smtp: smtplib.SMTP, message: EmailMessage, sender: str, recipients: Sequence[str]
) -> Mapping[str, Refusal]:
    try:
        refused = smtp.send_message(message, sender, recipients)
    except smtplib.SMTPRecipientsRefused as error:
        if len(error.recipients) < len(recipients):
            # The server hung up (421) among the recipients: none got it, those it accepted neither.
            raise MailServerUnavailableError("the mail server hung up") from error
        refused = error.recipients
    return {address: _refusal(*reply) for address, reply in refused.items()}


def _say_goodbye(smtp: smtplib.SMTP) -> None:
    # The server has taken the message or not; how it says good-bye changes nothing, and an
    # error here would have the mail sent twice.
    with suppress(OSError):
        smtp.quit()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except smtplib.SMTPNotSupportedError as error:
        raise NonRetryableError(
            f"the mail server cannot do what the settings require: {error}"
        ) from error
    except smtplib.SMTPResponseException as error:
        refusal = _refusal(error.smtp_code, error.smtp_error)
        kind = NonRetryableError if refusal.is_permanent else MailServerUnavailableError
        raise kind(f"expected the mail server to agree, got {refusal}") from error
    except OSError as error:
        raise MailServerUnavailableError(
            f"expected the mail server to answer, got {type(error).__name__}: {error}"
        ) from error


def _refusal(code: int, text: bytes | str) -> Refusal:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return Refusal(code, " ".join(words.split())[:200])
