"""Send one notification to one channel of the settings.

The payload names the channel and says what happened. Where that leads, and the secrets of it, stand
in no ledger: the worker that sends it has them by its settings.
"""

import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from typing import ClassVar, cast

from pydantic import BaseModel, ConfigDict

from failsoft.job_engine.definitions.decorators import declare_job
from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.errors import ConfigurationError, FailsoftError, NonRetryableError
from failsoft.job_engine.jobs.default.deliver_webhook import DeliverWebhook, deliver_webhook
from failsoft.job_engine.jobs.default.send_email import SendEmail
from failsoft.job_engine.jobs.notifications import messages
from failsoft.job_engine.jobs.notifications.channels import (
    AppriseChannel,
    Channel,
    CommandChannel,
    EmailChannel,
    WebhookChannel,
)
from failsoft.job_engine.jobs.notifications.notification import Notification
from failsoft.job_engine.steps.context import JobContext
from failsoft.job_engine.validation import did_you_mean

#: What a program that is run sees of the environment; the rest may hold secrets.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_STEP = "send"
_MOST_OF_ERROR = 500


class NotSentError(FailsoftError):
    """The channel did not take the notification; it is tried again."""


class SentNotification(BaseModel):
    """A notification that its channel took.

    Attributes:
        channel: The channel's name.
        kind: The channel's kind.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    channel: str
    kind: str


send_notification: JobDefinition[Notification, SentNotification] = declare_job(
    "send_notification",
    payload=Notification,
    result=SentNotification,
    queue="default",
    priority=100,
    retry=deliver_webhook.retry,
)


class SendNotification:
    """The handler of `send_notification`: webhooks and mails go as the shipped jobs send them."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        webhooks: Callable[[], DeliverWebhook],
        mails: Callable[[], SendEmail],
    ) -> None:
        """Know the channels.

        Args:
            channels: The channels of the settings, by their names.
            webhooks: Returns the handler of `deliver_webhook`; called when one is first sent.
            mails: Returns the handler of `send_email`; called when one is first sent.
        """
        self._channels = channels
        self._webhooks = cache(webhooks)
        self._mails = cache(mails)

    def __call__(self, payload: Notification, ctx: JobContext) -> SentNotification:
        """Send the notification, once.

        Raises:
            ConfigurationError: The settings have no such channel, or lack what it needs.
            NotSentError: A program or a service did not take it; webhooks and mails raise what
                `deliver_webhook` and `send_email` do.
            NonRetryableError: It will never be taken.
        """
        channel = self._channel(payload.channel)
        match channel:
            case EmailChannel():
                self._mails()(messages.mail(payload, channel), ctx)
            case AppriseChannel():
                ctx.run(_STEP, _apprise, payload, channel)
            case CommandChannel():
                ctx.run(_STEP, _run, payload, channel)
            case WebhookChannel():
                self._webhooks()(messages.webhook(payload, channel), ctx)
            case _:
                self._webhooks()(messages.chat(payload, channel), ctx)
        return SentNotification(channel=payload.channel, kind=channel.kind)

    def _channel(self, name: str) -> Channel:
        if name not in self._channels:
            known = ", ".join(sorted(self._channels)) or "none"
            raise ConfigurationError(
                f"expected the name of a channel of FAILSOFT_NOTIFY ({known}), got {name!r}"
                f"{did_you_mean(name, self._channels)}"
            )
        return self._channels[name]


def _run(notification: Notification, channel: CommandChannel) -> None:
    timeout = channel.timeout.total_seconds()
    try:
        done = subprocess.run(  # noqa: S603 - the operator's program, without a shell
            channel.command,
            input=messages.document(notification),
            capture_output=True,
            timeout=timeout,
            env={"PATH": _PATH},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotSentError(f"expected {channel.place} to end in {timeout:g} s, got none") from None
    except OSError as error:
        problem = f"expected a program that can be run, got {channel.place}: {error.strerror}"
        raise NonRetryableError(problem) from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace")[-_MOST_OF_ERROR:]
        raise NotSentError(
            f"expected {channel.place} to end with 0, got {done.returncode}: {said.strip()}"
        )


def _apprise(notification: Notification, channel: AppriseChannel) -> None:
    try:
        import apprise  # noqa: PLC0415 - an extra, and only for this channel
    except ImportError:
        raise ConfigurationError(
            "expected the package apprise for a channel of this kind, got none; "
            "pip install 'failsoft[apprise]'"
        ) from None
    services = apprise.Apprise()
    wrong = [each for each in channel.urls if not services.add(each.get_secret_value())]
    if wrong:
        raise NonRetryableError(
            f"expected URLs that Apprise knows, got {len(wrong)} of {len(channel.urls)} that it "
            "does not"
        )
    body = "\n".join(notification.lines)
    sent = cast("bool | None", services.notify(title=messages.title(notification), body=body))
    if not sent:
        raise NotSentError(f"expected {channel.place} to take the notification, got a refusal")
