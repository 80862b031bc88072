"""The webhooks' receiver: an HTTP server that checks their signatures.

It verifies by its own reading of the Standard Webhooks specification, not with the code that
signs them.
"""

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Self

#: How long it takes to answer, in seconds, as a real receiver does.
ANSWER_SECONDS = 0.1
#: A signature that is older or younger than this, in seconds, is refused.
TOLERANCE_SECONDS = 300

_PREFIX = "whsec_"


def is_genuine(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> bool:
    """Whether a webhook was signed with the secret within the tolerance."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not message_id or not timestamp.isdecimal():
        return False
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    content = f"{message_id}.{timestamp}.".encode() + body
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    expected = "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    given = headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(expected.encode(), each.encode()) for each in given)


class Receiver:
    """An HTTP server on 127.0.0.1 that counts what it is sent; a context manager.

    Attributes:
        taken: How many genuine webhooks it took, repeated ones included.
        forged: How many it refused.
    """

    def __init__(self, secret: str) -> None:
        self.taken: int = 0
        self.forged: int = 0
        self._secret = secret
        self._ids: set[str] = set()
        self._lock = threading.Lock()
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="failsoft-receiver", daemon=True
        )

    @property
    def url(self) -> str:
        """Return where webhooks go."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/webhooks"

    @property
    def unique(self) -> int:
        """Return how many different webhooks it took."""
        with self._lock:
            return len(self._ids)

    def take(self, headers: Mapping[str, str], body: bytes) -> int:
        """Take a webhook and return the HTTP status of the answer."""
        genuine = is_genuine(headers, body, self._secret, time.time())
        with self._lock:
            if not genuine:
                self.forged += 1
                return 401
            self.taken += 1
            self._ids.add(headers["webhook-id"])
        return 204

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A burst of workers must not wait for a second SYN.
    request_queue_size = 256

    def __init__(self, receiver: Receiver) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Handler, receiver))

    def server_bind(self) -> None:
        """Bind without resolving the name of 127.0.0.1, which may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing: a worker that closed its connection was killed on purpose."""


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, receiver: Receiver, *connection: Any) -> None:
        self._receiver = receiver
        super().__init__(*connection)

    def do_POST(self) -> None:
        """Answer a webhook."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        time.sleep(ANSWER_SECONDS)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.send_response(self._receiver.take(headers, body))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is given
        """Log nothing."""
