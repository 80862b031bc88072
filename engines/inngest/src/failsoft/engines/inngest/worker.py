"""The half that works: a server that Inngest calls, with a slot for each call that is processed."""

import socket
import threading
import time
from contextlib import suppress

import uvicorn

from failsoft.engine_api import (
    ConfigurationError,
    EngineError,
    EngineSite,
    EngineUnavailableError,
    Link,
    Slots,
    WorkerPost,
)
from failsoft.engines.inngest.client import Client
from failsoft.engines.inngest.endpoint import Endpoint
from failsoft.engines.inngest.functions import QueueFunction
from failsoft.engines.inngest.registration import register
from failsoft.engines.inngest.settings import InngestSettings

#: How often the worker finds out whether Inngest answers, in seconds: on this machine, elsewhere.
LOOK_SECONDS, LOOK_AWAY_SECONDS = 1.0, 10.0
#: How often a function is registered anew, in seconds: a dev server forgets it when it restarts.
RENEW_SECONDS, RENEW_AWAY_SECONDS = 5.0, 600.0
#: How long an answer may take, in seconds.
ANSWER_SECONDS = 1.0
#: How long the last answers may take to be sent, in seconds.
CLOSE_SECONDS = 1.0
#: How many connections may be open at once; calls beyond that are answered with 503.
CONNECTIONS = 1000


class InngestWorker:
    """`EngineWorker` of Inngest."""

    def __init__(self, site: EngineSite[InngestSettings], post: WorkerPost) -> None:
        settings = site.settings
        _expect_callable(site)
        self._settings = settings
        self._link = Link(f"Inngest at {settings.url}")
        self._slots = Slots(post)
        self._client = Client(settings)
        self._socket = _listen(site, post)
        port = self._socket.getsockname()[1]
        self._function = QueueFunction.of(site, post.queue, post.slots, port)
        self._endpoint = Endpoint(
            self._function, settings, post, slots=self._slots, client=self._client
        )
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._endpoint,
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=CONNECTIONS,
                timeout_graceful_shutdown=int(CLOSE_SECONDS),
            )
        )
        self._renew_at = float("-inf")

    def run(self, stopping: threading.Event) -> None:
        """Answer calls until `stopping` is set; then wait for what runs.

        Raises:
            EngineUnavailableError: The server ended by itself.
        """
        serving = threading.Thread(target=self._serve, name="failsoft-inngest-server", daemon=True)
        self._endpoint.stop_with(stopping)
        serving.start()
        pause = LOOK_SECONDS if self._settings.is_local else LOOK_AWAY_SECONDS
        try:
            while not stopping.is_set():
                self._look()
                if not serving.is_alive():
                    raise EngineUnavailableError("the server that Inngest calls has ended")
                stopping.wait(pause)
        finally:
            # Until the last attempt has ended calls are answered, with 503.
            self._slots.close()
            self._server.should_exit = True
            serving.join(CLOSE_SECONDS * 2)
            self._socket.close()
            self._client.close()

    def is_serving(self) -> bool:
        """Return whether Inngest answers and has the queue's function."""
        return self._link.is_up

    def _serve(self) -> None:
        with suppress(SystemExit):
            self._server.run([self._socket])

    def _look(self) -> None:
        error = self._client.is_answering(ANSWER_SECONDS)
        if error is None and (not self._link.is_up or time.monotonic() >= self._renew_at):
            error = self._register()
        if error is None:
            self._link.answered()
        else:
            self._link.lost(error)

    def _register(self) -> EngineError | None:
        try:
            register(self._client, self._settings, self._function)
        except EngineError as error:
            return error
        is_local = self._settings.is_local
        self._renew_at = time.monotonic() + (RENEW_SECONDS if is_local else RENEW_AWAY_SECONDS)
        return None


def _expect_callable(site: EngineSite[InngestSettings]) -> None:
    """Refuse settings with which a worker could not verify its calls, or would get none.

    Raises:
        ConfigurationError: The message names the variable.
    """
    settings = site.settings
    if not settings.is_dev and not settings.signing_keys:
        raise ConfigurationError(
            f"expected a signing key in {site.variables['signing_key']}, got none: without it a "
            "worker cannot verify its calls"
        )
    if not settings.is_callable:
        raise ConfigurationError(
            f"expected in {site.variables['serve_url']} the address at which {settings.url} "
            f"reaches the workers, got none, and {settings.host} is no address for that"
        )


def _listen(site: EngineSite[InngestSettings], post: WorkerPost) -> socket.socket:
    host, port = site.settings.host, site.settings.port_of(post.queue.name)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Now, for until then another may be bound to it, too.
        listener.listen(CONNECTIONS)
    except OSError as error:
        listener.close()
        raise EngineUnavailableError(
            f"expected port {port} of {host} to be free, got: {error.strerror}; another worker of "
            f"this machine may have it, for each queue has its own in {site.variables['port']}"
        ) from error
    return listener
