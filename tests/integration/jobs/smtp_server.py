"""A real SMTP server that keeps what it gets and answers as a test says."""

import email.policy
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage

HANG_UP = ""


@dataclass
class Mail:
    """One mail that was taken."""

    sender: str
    recipients: list[str]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.raw, policy=email.policy.default)


@dataclass
class SmtpScript:
    """What the server is to say, and what it took.

    Attributes:
        replies: What it says to a command, or to `RCPT <address>`; `HANG_UP` ends the connection.
        extensions: What it says it can do.
    """

    replies: dict[str, str] = field(default_factory=dict)
    extensions: list[str] = field(default_factory=list)
    taken: list[Mail] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    port: int = 0


@contextmanager
def smtp_server(
    tls: ssl.SSLContext | None = None, *, from_the_start: bool = False
) -> Iterator[SmtpScript]:
    """Serve until the block ends."""
    script = SmtpScript(extensions=["STARTTLS"] if tls and not from_the_start else [])

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = False

    class Handler(_Conversation):
        def setup(self) -> None:
            self.script, self.tls = script, tls
            if tls and from_the_start:
                self.request = tls.wrap_socket(self.request, server_side=True)
            super().setup()

    with Server(("127.0.0.1", 0), Handler) as server:
        script.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield script
        server.shutdown()
    thread.join()


class _Conversation(socketserver.StreamRequestHandler):
    script: SmtpScript
    tls: ssl.SSLContext | None

    def handle(self) -> None:
        self.mail = Mail("", [], b"")
        with suppress(_HungUpError, OSError):
            self._say("CONNECT", "220 mail.example.com ready")
            while line := self.rfile.readline():
                self._obey(line.decode().strip())

    def _obey(self, line: str) -> None:
        word = line.split(maxsplit=1)[0].upper()
        self.script.commands.append(word)
        getattr(self, f"_{word.lower()}", self._unknown)(line)

    def _unknown(self, line: str) -> None:
        self._say(line.split(maxsplit=1)[0].upper(), "250 fine")

    def _ehlo(self, line: str) -> None:
        lines = ["mail.example.com", *self.script.extensions]
        self._say(
            "EHLO", "\r\n".join([*(f"250-{each}" for each in lines[:-1]), f"250 {lines[-1]}"])
        )

    def _starttls(self, line: str) -> None:
        assert self.tls is not None
        self._say("STARTTLS", "220 go on")
        self.script.extensions = [each for each in self.script.extensions if each != "STARTTLS"]
        self.request = self.tls.wrap_socket(self.request, server_side=True)
        self.rfile = self.request.makefile("rb")
        self.wfile = self.request.makefile("wb", buffering=0)

    def _auth(self, line: str) -> None:
        self._say("AUTH", "235 welcome")

    def _mail(self, line: str) -> None:
        self.mail = Mail(_address(line), [], b"")
        self._say("MAIL", "250 fine")

    def _rcpt(self, line: str) -> None:
        address = _address(line)
        if self._say(f"RCPT {address}", self.script.replies.get("RCPT", "250 fine")):
            self.mail.recipients.append(address)

    def _data(self, line: str) -> None:
        if not self._say("DATA", "354 go on"):
            return
        lines = []
        while (text := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(text.removeprefix(b".") if text.startswith(b"..") else text)
        self.mail.raw = b"".join(lines)
        if self._say("MESSAGE", "250 taken"):
            self.script.taken.append(self.mail)

    def _quit(self, line: str) -> None:
        self._say("QUIT", "221 bye")
        raise _HungUpError

    def _say(self, moment: str, usual: str) -> bool:
        reply = self.script.replies.get(moment, usual)
        if reply == HANG_UP:
            raise _HungUpError
        self.wfile.write(f"{reply}\r\n".encode())
        return reply[0] in "23"

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        self.request.close()


class _HungUpError(Exception):
    """The script ends the connection."""


def _address(line: str) -> str:
    return line[line.index("<") + 1 : line.index(">")]
