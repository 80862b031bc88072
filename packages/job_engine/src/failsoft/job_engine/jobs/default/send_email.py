"""Send one e-mail through the operator's mail server."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Annotated, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    model_validator,
    validate_email,
)
from tenacity import wait_exponential, wait_random

from failsoft.job_engine.clock import Clock
from failsoft.job_engine.definitions.decorators import declare_job
from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.errors import ConfigurationError, NonRetryableError
from failsoft.job_engine.jobs.smtp import (
    MailServerUnavailableError,
    SmtpServer,
    SmtpSettings,
)
from failsoft.job_engine.policies.retry import RetryPolicy
from failsoft.job_engine.steps.context import JobContext
from failsoft.job_engine.values.codec import describe

#: What every mail server takes at once (RFC 5321, 4.5.3.1.8).
MAX_RECIPIENTS = 100
#: How often recipients are tried that the server defers while it accepts others.
MAX_ROUNDS = 5
#: How long they wait in between.
PAUSE = timedelta(minutes=5)

# Seven bits, so that no server on the way needs an extension.
_POLICY = SMTP.clone(cte_type="7bit")
_HEADER = re.compile(r"[!-9;-~]{1,76}")
# What the payload's other fields say, what MIME needs, and what only mail servers write.
_OURS = re.compile(
    r"from|sender|to|cc|bcc|reply-to|subject|date|message-id|return-path|received|dkim-signature"
    r"|(mime|content|resent|arc)-.*"
)


def _one_line(text: str) -> str:
    # More than CR and LF: the email package folds at what Unicode calls a line's end, too.
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in text):
        raise ValueError("expected one line without control characters")
    return text


def _ascii_address(address: str) -> str:
    # Not `EmailStr`, which needs email-validator as soon as a model has such a field.
    _, address = validate_email(address)
    local, _, domain = address.rpartition("@")
    if not local.isascii():
        raise ValueError("expected an address with an ASCII name before the @")
    return f"{local}@{'.'.join(map(_ascii_label, domain.split('.')))}"


def _ascii_label(label: str) -> str:
    # email-validator has made it canonical (IDNA 2008); Python's own `idna` codec is of 2003 and
    # turns some domains into other people's.
    return label if label.isascii() else f"xn--{label.encode('punycode').decode()}"


OneLine = Annotated[str, Field(max_length=998), AfterValidator(_one_line)]
EmailAddress = Annotated[
    str,
    AfterValidator(_ascii_address),
    WithJsonSchema({"type": "string", "format": "email"}),
]


class Email(BaseModel):
    """One e-mail.

    Attributes:
        to: Its recipients; all of them see each other.
        cc: Further recipients, seen by all.
        bcc: Further recipients, in no header.
        subject: One line.
        text: The body as plain text.
        html: The body as HTML; with `text`, the reader's program chooses.
        sender: Where it comes from; the operator's where None.
        sender_name: The name shown for the sender.
        reply_to: Where answers go.
        headers: Further headers, `List-Unsubscribe` and the like.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    to: tuple[EmailAddress, ...] = Field(min_length=1)
    cc: tuple[EmailAddress, ...] = ()
    bcc: tuple[EmailAddress, ...] = ()
    subject: OneLine
    text: str | None = None
    html: str | None = None
    sender: EmailAddress | None = None
    sender_name: OneLine = ""
    reply_to: EmailAddress | None = None
    headers: dict[str, OneLine] = Field(default={}, max_length=32)

    @property
    def recipients(self) -> Sequence[str]:
        """Return every recipient once."""
        return list(dict.fromkeys((*self.to, *self.cc, *self.bcc)))

    @model_validator(mode="after")
    def _check(self) -> "Email":
        if self.text is None and self.html is None:
            raise ValueError("expected a text, an HTML body or both")
        if len(self.recipients) > MAX_RECIPIENTS:
            raise ValueError(f"expected at most {MAX_RECIPIENTS} recipients")
        for name in self.headers:
            if not _HEADER.fullmatch(name) or _OURS.fullmatch(name.lower()):
                raise ValueError(f"expected a header that is not ours to set, got {name!r}")
        return self


class Refused(BaseModel):
    """A recipient that the server did not take the mail for, and its words."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    address: str
    reply: str


class EmailReport(BaseModel):
    """An e-mail that the mail server took for at least one recipient.

    Attributes:
        message_id: Its `Message-ID`: the same in every attempt.
        accepted: Recipients that the server accepted.
        refused: Recipients that it did not accept.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    message_id: str
    accepted: tuple[str, ...]
    refused: tuple[Refused, ...]


class Round(BaseModel):
    """What became of one conversation with the mail server.

    Attributes:
        accepted: Recipients that the server accepted.
        refused: Recipients that it refused for good.
        deferred: Recipients that it deferred.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    accepted: tuple[str, ...]
    refused: tuple[Refused, ...]
    deferred: tuple[Refused, ...]


send_email: JobDefinition[Email, EmailReport] = declare_job(
    "send_email",
    payload=Email,
    result=EmailReport,
    queue="default",
    # Two hours and a half: mail can wait for its server.
    retry=RetryPolicy(
        max_attempts=12, wait=wait_exponential(multiplier=5, max=3600) + wait_random(0, 5)
    ),
)


class SendEmail:
    """The handler of `send_email`.

    A server may take a mail for some recipients and put off the others (greylisting). Those it
    took are recorded, and only the others are tried again, after a sleep that holds no worker.
    """

    def __init__(
        self, settings: SmtpSettings, clock: Clock, server: SmtpServer | None = None
    ) -> None:
        """Send through a mail server.

        Args:
            settings: Its address and what it requires.
            clock: Gives the mail its date.
            server: What speaks to it; made from the settings where None.

        Raises:
            ConfigurationError: If the settings' sender is no e-mail address.
        """
        self._sender = _checked_sender(settings.sender)
        self._clock = clock
        self._server = server or SmtpServer(settings)

    def __call__(self, payload: Email, ctx: JobContext) -> EmailReport:
        """Send the mail.

        Raises:
            MailServerUnavailableError: If the server did not answer, or put off everyone.
            NonRetryableError: If it refused for good.
            ConfigurationError: If neither the payload nor the settings name a sender.
        """
        message = self._message(payload, ctx.idempotency_key("send"))
        rounds = [ctx.run("send-1", self._first_round, message, tuple(payload.recipients))]
        while rounds[-1].deferred and len(rounds) < MAX_ROUNDS:
            ctx.sleep(f"wait-{len(rounds)}", PAUSE)
            waiting = tuple(each.address for each in rounds[-1].deferred)
            rounds.append(ctx.run(f"send-{len(rounds) + 1}", self._round, message, waiting))
        report = _report(message, rounds)
        if report.refused:
            ctx.log.warning("the mail server refused %d recipients", len(report.refused))
        return report

    def _first_round(self, message: EmailMessage, recipients: Sequence[str]) -> Round:
        found = self._round(message, recipients)
        if found.accepted:
            return found
        words = (found.deferred or found.refused)[0].reply
        kind = MailServerUnavailableError if found.deferred else NonRetryableError
        raise kind(f"expected the mail server to take a recipient, got {words}")

    def _round(self, message: EmailMessage, recipients: Sequence[str]) -> Round:
        refusals = self._server.send(message, message["From"].addresses[0].addr_spec, recipients)
        refused, deferred = (
            tuple(
                Refused(address=address, reply=str(refusal))
                for address, refusal in refusals.items()
                if refusal.is_permanent is permanent
            )
            for permanent in (True, False)
        )
        accepted = tuple(address for address in recipients if address not in refusals)
        return Round(accepted=accepted, refused=refused, deferred=deferred)

    def _message(self, email: Email, key: str) -> EmailMessage:
        sender = email.sender or self._sender
        if not sender:
            raise ConfigurationError(
                "expected a sender in the payload or in the settings, got none; set SMTP_SENDER"
            )
        message = EmailMessage(policy=_POLICY)
        message["From"] = Address(email.sender_name, addr_spec=sender)
        message["Date"] = self._clock.now()
        message["Message-ID"] = f"<{key.replace(':', '.')}@{sender.rpartition('@')[2]}>"
        _address(message, email)
        _fill(message, email)
        return message


def _checked_sender(sender: str) -> str:
    try:
        return TypeAdapter(EmailAddress).validate_python(sender) if sender else ""
    except ValidationError as error:
        raise ConfigurationError(
            f"expected an e-mail address as the sender, got {sender!r}: {describe(error)}"
        ) from None


def _address(message: EmailMessage, email: Email) -> None:
    # Not `Bcc`: those recipients are named to the server only.
    for header, addresses in (("To", email.to), ("Cc", email.cc), ("Reply-To", email.reply_to)):
        if addresses:
            several = (addresses,) if isinstance(addresses, str) else addresses
            message[header] = [Address(addr_spec=address) for address in several]


def _fill(message: EmailMessage, email: Email) -> None:
    message["Subject"] = email.subject
    for name, value in email.headers.items():
        message[name] = value
    if email.text is not None:
        message.set_content(email.text)
        if email.html is not None:
            message.add_alternative(email.html, subtype="html")
    elif email.html is not None:
        message.set_content(email.html, subtype="html")


def _report(message: EmailMessage, rounds: Sequence[Round]) -> EmailReport:
    return EmailReport(
        message_id=str(message["Message-ID"]),
        accepted=tuple(address for each in rounds for address in each.accepted),
        refused=(*(one for each in rounds for one in each.refused), *rounds[-1].deferred),
    )
