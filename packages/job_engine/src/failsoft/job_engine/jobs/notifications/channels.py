"""Where notifications go: the kinds of channels, as the settings describe them."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    TypeAdapter,
)

from failsoft.job_engine.jobs.default.deliver_webhook import Webhook
from failsoft.job_engine.jobs.default.send_email import EmailAddress

_URL: TypeAdapter[HttpUrl] = TypeAdapter(HttpUrl)


def _http_url(url: SecretStr) -> SecretStr:
    found = _URL.validate_python(url.get_secret_value())
    if found.username or found.password:
        raise ValueError("expected a URL without user and password")
    return url


#: An address whose path is a secret: whatever has it may write to the channel.
SecretUrl = Annotated[SecretStr, AfterValidator(_http_url)]


def shown_url(url: SecretStr) -> str:
    """Return what may be shown of an address: its scheme and its host."""
    found = _URL.validate_python(url.get_secret_value())
    return f"{found.scheme}://{found.host}"


class _Channel(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    @property
    def place(self) -> str:
        """Return what may be shown of where it leads."""
        return ""


class _UrlChannel(_Channel):
    url: SecretUrl

    @property
    def place(self) -> str:
        return shown_url(self.url)


class WebhookChannel(_UrlChannel):
    """A receiver of Standard Webhooks.

    Attributes:
        secret: The name of the secret of `FAILSOFT_WEBHOOK_SECRETS` that signs what is sent.
        headers: Further headers.
    """

    kind: Literal["webhook"] = "webhook"
    secret: str
    headers: dict[str, str] = Field(default={}, repr=False)

    @property
    def as_webhook(self) -> Mapping[str, Any]:
        """Return what its webhooks have in common, as fields of `Webhook`."""
        url = self.url.get_secret_value()
        return {"url": url, "secret_name": self.secret, "headers": self.headers}


class SlackChannel(_UrlChannel):
    """An incoming webhook of Slack."""

    kind: Literal["slack"] = "slack"


class TeamsChannel(_UrlChannel):
    """A webhook of a workflow of Microsoft Teams."""

    kind: Literal["teams"] = "teams"


class DiscordChannel(_UrlChannel):
    """A webhook of a channel of Discord."""

    kind: Literal["discord"] = "discord"


class NtfyChannel(_UrlChannel):
    """A topic of ntfy: the last part of the URL.

    Attributes:
        token: The access token of the server, where it requires one.
    """

    kind: Literal["ntfy"] = "ntfy"
    token: SecretStr | None = None

    @property
    def topic(self) -> tuple[str, str]:
        """Return the URL that messages are published at, and the name of the topic."""
        base, _, topic = self.url.get_secret_value().rstrip("/").rpartition("/")
        return f"{base}/", topic


class EmailChannel(_Channel):
    """Mailboxes, by the mail server of the settings (`SMTP_HOST` and others)."""

    kind: Literal["email"] = "email"
    to: tuple[EmailAddress, ...] = Field(min_length=1, max_length=100)

    @property
    def place(self) -> str:
        """Return the addresses."""
        return ", ".join(self.to)


class AppriseChannel(_Channel):
    """Services that Apprise knows; needs the extra `failsoft[apprise]` where jobs run.

    Attributes:
        urls: Apprise's URLs, which hold the secrets of the services.
    """

    kind: Literal["apprise"] = "apprise"
    urls: tuple[SecretStr, ...] = Field(min_length=1, max_length=20)

    @property
    def place(self) -> str:
        """Return the schemes of the URLs."""
        schemes = (url.get_secret_value().partition("://")[0] for url in self.urls)
        return ", ".join(f"{each}://" for each in schemes)


class CommandChannel(_Channel):
    """A program on the hosts of the workers, without a shell; the message is JSON on its input.

    Attributes:
        command: The program and its arguments, as they are.
        timeout: After which it is killed and counts as failed, in seconds.
    """

    kind: Literal["command"] = "command"
    command: tuple[str, ...] = Field(min_length=1, max_length=100)
    timeout: timedelta = Field(default=timedelta(seconds=30), gt=timedelta(0))

    @property
    def place(self) -> str:
        """Return the program, without its arguments."""
        return self.command[0]


#: The channels that are reached by HTTP, each with a form of its own.
ChatChannel: TypeAlias = SlackChannel | TeamsChannel | DiscordChannel | NtfyChannel
Channel: TypeAlias = WebhookChannel | ChatChannel | EmailChannel | AppriseChannel | CommandChannel

#: The kinds of channels, by their names.
CHANNELS: Mapping[str, type[Channel]] = MappingProxyType(
    {
        "webhook": WebhookChannel,
        "slack": SlackChannel,
        "teams": TeamsChannel,
        "discord": DiscordChannel,
        "ntfy": NtfyChannel,
        "email": EmailChannel,
        "apprise": AppriseChannel,
        "command": CommandChannel,
    }
)


class Message(Webhook):
    """A request to a chat service: the service's own JSON, without an envelope."""

    @property
    def content(self) -> Any:
        """Return the data alone."""
        return self.data
