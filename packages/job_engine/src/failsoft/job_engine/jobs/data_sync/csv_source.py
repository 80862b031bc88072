"""Where a CSV comes from: a file of this host, or a URL that is downloaded first."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import httpx

from failsoft.job_engine.clock import Clock
from failsoft.job_engine.errors import NonRetryableError
from failsoft.job_engine.jobs.data_sync.csv_file import CsvFile
from failsoft.job_engine.jobs.data_sync.csv_folder import open_below
from failsoft.job_engine.jobs.http_replies import check_status, connection_errors, origin
from failsoft.job_engine.jobs.public_http import PublicTransport

MAX_REDIRECTS = 5

_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSettings:
    """What the operator decides about imports.

    Attributes:
        folder: Only files below it are read, and relative paths start there; None allows no file
            of this host, only URLs.
        allow_private: Whether URLs may lead to addresses that are not public.
        timeout: How long a server may take to connect, and for each piece of the file.
        max_bytes: Longer downloads are refused.
        spool: Where downloads are kept meanwhile; the system's folder where None.
        is_barred: Returns whether a file must not be opened here, such as a database in use: to
            close it again would drop the locks of this process on it.
    """

    folder: Path | None = None
    allow_private: bool = False
    timeout: timedelta = timedelta(seconds=30)
    max_bytes: int = 2 * 1024**3
    spool: Path | None = None
    is_barred: Callable[[Path], bool] = lambda _: False


class CsvSource:
    """Opens files and URLs."""

    def __init__(
        self,
        settings: ImportSettings,
        clock: Clock,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            settings: What the operator decided.
            clock: The time, for a server's `Retry-After`.
            transport: What sends the requests; `PublicTransport` where None.
        """
        self._settings = settings
        self._clock = clock
        self._client = httpx.Client(
            transport=transport or PublicTransport(allow_private=settings.allow_private),
            timeout=settings.timeout.total_seconds(),
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            headers={"user-agent": "Failsoft", "accept-encoding": "identity"},
            trust_env=False,
        )

    @contextmanager
    def open(self, location: str) -> Iterator[CsvFile]:
        """Open a file by its path or URL; a download is gone when it is closed.

        Raises:
            SourceUnavailableError: If there is no such file on this host; see `open_below`.
            PeerUnavailableError: If the server did not answer, or not now.
            RetryAfterError: If it requests a pause.
            NonRetryableError: If it may not be read, or is too long.
        """
        with ExitStack() as stack:
            if location.startswith(("http://", "https://")):
                file: IO[bytes] = stack.enter_context(TemporaryFile(dir=self._settings.spool))
                yield CsvFile(file, self._download(location, file))
            else:
                yield CsvFile(stack.enter_context(self._local(location)))

    def _local(self, location: str) -> IO[bytes]:
        folder = self._settings.folder
        if folder is None:
            raise NonRetryableError(
                f"expected a URL, because this worker has no folder for imports, got {location}; "
                "name the folder in FAILSOFT_IMPORT_FOLDER and put the file there"
            )
        if self._settings.is_barred(folder / location):
            raise NonRetryableError(f"expected a CSV file, got {location}, a database in use")
        return open_below(folder, location)

    def _download(self, location: str, file: IO[bytes]) -> str | None:
        with connection_errors(location):
            url = httpx.URL(location)
        with connection_errors(origin(url)), self._client.stream("GET", url) as response:
            check_status(response, now=self._clock.now())
            for chunk in response.iter_bytes(_CHUNK):
                if file.tell() + len(chunk) > self._settings.max_bytes:
                    raise NonRetryableError(
                        f"expected at most {self._settings.max_bytes} bytes, got more"
                    )
                file.write(chunk)
            file.flush()
            etag: str | None = response.headers.get("etag")
            return etag
