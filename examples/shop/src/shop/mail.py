"""Mail; a folder stands in for the server, where a real shop would speak SMTP."""

from email.message import EmailMessage

from shop.folders import folder


def send(to: str, subject: str, text: str, key: str) -> None:
    """Send a mail; the same key twice is one mail.

    Args:
        to: The address.
        subject: The subject.
        text: The text.
        key: The step's idempotency key: the same in every attempt, on every engine.
    """
    message = EmailMessage()
    message["To"], message["Subject"], message["Message-ID"] = to, subject, f"<{key}@shop.example>"
    message.set_content(text)
    (folder("mail") / f"{key}.eml").write_bytes(bytes(message))
