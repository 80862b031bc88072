"""What a notification looks like in each channel; whatever jobs say is escaped for it."""

import html
import json
import re
from typing import Any, assert_never

from pydantic import HttpUrl

from failsoft.job_engine.jobs.default.deliver_webhook import Webhook
from failsoft.job_engine.jobs.default.send_email import Email
from failsoft.job_engine.jobs.notifications.channels import (
    ChatChannel,
    DiscordChannel,
    EmailChannel,
    Message,
    NtfyChannel,
    SlackChannel,
    TeamsChannel,
    WebhookChannel,
)
from failsoft.job_engine.jobs.notifications.notification import Notification, one_line

#: The longest texts that the services take: https://docs.slack.dev/reference/methods/chat.postMessage,
#: https://discord.com/developers/docs/resources/webhook, https://docs.ntfy.sh/publish/.
MOST_OF_SLACK = 4000
MOST_OF_DISCORD = 2000
MOST_OF_NTFY = 4096
#: The longest title, and subject of a mail.
MOST_OF_TITLE = 250

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>:@])")
#: Shows no preview of links.
_SUPPRESS_EMBEDS = 4


def webhook(notification: Notification, channel: WebhookChannel) -> Webhook:
    """Return the signed webhook of a notification."""
    said = notification.model_dump(mode="json", exclude={"channel", "kind"}, exclude_none=True)
    return Webhook(
        type=f"failsoft.{notification.kind}",
        data=said | {"title": title(notification)},
        occurred_at=notification.last_at,
        **channel.as_webhook,
    )


def chat(notification: Notification, channel: ChatChannel) -> Message:
    """Return the request to a chat service."""
    url, headers = channel.url.get_secret_value(), dict[str, str]()
    match channel:
        case SlackChannel():
            data = _slack(notification)
        case TeamsChannel():
            data = _teams(notification)
        case DiscordChannel():
            data = _discord(notification)
        case NtfyChannel():
            url, topic = channel.topic
            data = _ntfy(notification, topic)
            if channel.token is not None:
                headers["authorization"] = f"Bearer {channel.token.get_secret_value()}"
        case _:
            assert_never(channel)
    return Message(url=HttpUrl(url), type="failsoft", data=data, headers=headers)


def mail(notification: Notification, channel: EmailChannel) -> Email:
    """Return the mail of a notification, as plain text and as HTML."""
    lines = "".join(f"<li>{html.escape(each)}</li>" for each in notification.lines)
    return Email(
        to=channel.to,
        subject=title(notification),
        text=plain(notification),
        html=f"<p><b>{html.escape(title(notification))}</b></p><ul>{lines}</ul>",
    )


def document(notification: Notification) -> bytes:
    """Return the JSON that a program reads from its standard input."""
    said = notification.model_dump(mode="json", exclude_none=True)
    return json.dumps(said | {"title": title(notification), "text": plain(notification)}).encode()


def title(notification: Notification) -> str:
    """Return the title, short enough for every channel."""
    return one_line(notification.title, MOST_OF_TITLE)


def plain(notification: Notification) -> str:
    """Return the whole text, for what shows it as it is."""
    return "\n".join((title(notification), *notification.lines))


def _slack(notification: Notification) -> dict[str, Any]:
    # With `mrkdwn` off only these three mean anything: `<!channel>` and links begin with one.
    text = plain(notification)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, entity)
    quiet = dict.fromkeys(("mrkdwn", "unfurl_links", "unfurl_media"), False)
    return {"text": _cut(text, MOST_OF_SLACK), **quiet}


def _teams(notification: Notification) -> dict[str, Any]:
    # The text of a `TextRun` is no Markdown, that of a `TextBlock` would be.
    first = {"type": "TextRun", "text": title(notification), "weight": "Bolder"}
    rest = [{"type": "TextRun", "text": each} for each in notification.lines]
    blocks = [{"type": "RichTextBlock", "inlines": [each]} for each in (first, *rest)]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": blocks,
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "content": card}]}


def _discord(notification: Notification) -> dict[str, Any]:
    text = _MARKDOWN.sub(r"\\\1", plain(notification))
    nobody: dict[str, list[str]] = {"parse": []}
    content = _cut(text, MOST_OF_DISCORD)
    return {"content": content, "allowed_mentions": nobody, "flags": _SUPPRESS_EMBEDS}


def _ntfy(notification: Notification, topic: str) -> dict[str, Any]:
    # As JSON: in its headers a line's end or a letter beyond ASCII would have to be encoded.
    text = "\n".join(notification.lines)
    said = text.encode()[:MOST_OF_NTFY].decode(errors="ignore")
    return {"topic": topic, "title": title(notification), "message": said}


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
