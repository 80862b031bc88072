"""The file an import reads, and the port that opens it."""

import hashlib
import os
from contextlib import AbstractContextManager
from typing import IO, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from failsoft.job_engine.errors import NonRetryableError


class Fingerprint(BaseModel):
    """What identifies the state of a file.

    Attributes:
        size: In bytes.
        sha256: Of its content, in hexadecimal.
        etag: What the server called it; to be found in the server's logs.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    size: int
    sha256: str
    etag: str | None = None


class CsvFile:
    """An open file whose content is known.

    Attributes:
        file: The bytes.
        fingerprint: What they are.
    """

    def __init__(self, file: IO[bytes], etag: str | None = None) -> None:
        self.file = file
        file.seek(0)
        self._seen = self._state()
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # any binary file will do
        self.fingerprint: Fingerprint = Fingerprint(size=self._seen[0], sha256=digest, etag=etag)
        self.check_unchanged()

    def check_unchanged(self) -> None:
        """Refuse a file that was written to since it was opened.

        Raises:
            NonRetryableError: If it was.
        """
        if self._state() != self._seen:
            raise NonRetryableError("expected the file to stay as it is, got one being written to")

    def _state(self) -> tuple[int, int]:
        found = os.fstat(self.file.fileno())
        return found.st_size, found.st_mtime_ns


class CsvOpener(Protocol):
    """Opens files by their path or URL."""

    def open(self, location: str) -> AbstractContextManager[CsvFile]:
        """Open a file; it is closed at the end of the context.

        Raises:
            NonRetryableError: If it may not be read. Any other error is tried again.
        """
        ...
