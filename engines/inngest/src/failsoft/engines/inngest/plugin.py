"""The engine `inngest`, plugged in."""

import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from failsoft.engine_api import (
    BoundedCaller,
    Check,
    EmbeddedProcess,
    EmbeddedServer,
    Engine,
    EnginePlugin,
    EngineSite,
    EngineWorker,
    Supported,
    WorkerPost,
    kept_port,
)
from failsoft.engines.inngest.adapter import InngestEngine
from failsoft.engines.inngest.checks import look_at_inngest
from failsoft.engines.inngest.settings import InngestSettings

#: How many offers of one process may be under way at once.
CALLER_THREADS = 8
#: The server of the extra `embedded`.
SERVER = "failsoft.testing.inngest_server"


class InngestPlugin(EnginePlugin[InngestSettings]):
    """Inngest: self-hosted, Inngest Cloud, or its dev server."""

    kind = "inngest"
    title = "Inngest"
    settings = InngestSettings
    libraries: ClassVar[Sequence[Supported]] = (
        Supported("httpx", (0, 28), 1),
        Supported("starlette", (0, 48), 2),
        Supported("uvicorn", (0, 35), 1),
    )
    loggers: ClassVar[Mapping[str, int]] = {
        "httpx": logging.WARNING,
        "httpcore": logging.WARNING,
        "uvicorn": logging.CRITICAL,
    }

    def build(self, site: EngineSite[InngestSettings]) -> Engine:
        """Return the half that offers."""
        adapter = InngestEngine(site)
        return Engine(adapter, BoundedCaller(site.name, threads=CALLER_THREADS, last=adapter.close))

    def build_worker(self, site: EngineSite[InngestSettings], post: WorkerPost) -> EngineWorker:
        """Return a server that Inngest calls.

        Raises:
            ConfigurationError: There is no signing key, and calls are to be signed.
            EngineUnavailableError: Its port is taken.
        """
        # Here, so that a program that only dispatches loads no server.
        from failsoft.engines.inngest.worker import InngestWorker  # noqa: PLC0415 - see above

        return InngestWorker(site, post)

    def checks(self, site: EngineSite[InngestSettings]) -> Iterable[Check]:
        """Look at the server, the keys and the workers' address, and post what an offer posts."""
        remedy = f"look after Inngest, or correct {site.variables['url']}"
        yield Check(site.name, lambda: look_at_inngest(site), remedy)

    def server(self, site: EngineSite[InngestSettings]) -> str:
        """Return the address of the API."""
        return site.settings.url

    def address(self, settings: InngestSettings) -> tuple[str, str | None]:
        """Return the setting of the API's address."""
        is_given = "url" in settings.model_fields_set
        return "url", settings.url if is_given else None

    def embedded(self, folder: Path, url: str | None) -> EmbeddedServer | None:
        """Return a server of Failsoft's own that speaks Inngest's protocol."""
        if find_spec("failsoft.testing") is None:
            return None
        port = kept_port(url)
        command = (sys.executable, "-m", SERVER, "--port", str(port), "--folder", str(folder))
        return EmbeddedProcess(command, folder, port, f"http://127.0.0.1:{port}")


PLUGIN = InngestPlugin()
