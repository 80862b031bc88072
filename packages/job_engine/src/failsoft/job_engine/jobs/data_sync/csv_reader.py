"""CSV from any row on: the place of each row is known, so that a resumed import goes on there."""

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from failsoft.job_engine.errors import NonRetryableError

#: Encodings in which a line's end is the byte it is in ASCII.
Encoding = Literal["utf-8-sig", "utf-8", "ascii", "iso-8859-1", "iso-8859-15", "cp1252"]

#: No line may be longer, in bytes.
MAX_LINE_BYTES = 1024 * 1024


class Place(BaseModel):
    """A place between two rows.

    Attributes:
        offset: The bytes before it.
        line: The lines before it.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    offset: int = 0
    line: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """One row as it stands in the file.

    Attributes:
        line: The number of its first line, from 1.
        fields: Its fields.
        problem: Why it cannot be read, if it cannot.
    """

    line: int
    fields: list[str]
    problem: str | None = None


class CsvReader:
    """The rows of a file from a place on; blank lines are left out.

    Attributes:
        place: Where the next row begins.
    """

    def __init__(
        self, file: IO[bytes], place: Place, *, encoding: Encoding, delimiter: str
    ) -> None:
        self._lines = _Lines(file, place, encoding)
        self._encoding = encoding
        self._rows = csv.reader(self._lines, delimiter=delimiter, strict=True)

    @property
    def place(self) -> Place:
        """Return the place after the row that was read last."""
        return Place(offset=self._lines.offset, line=self._lines.line)

    def __iter__(self) -> Iterator[Record]:
        """Read every row that is left.

        Raises:
            NonRetryableError: If a row is broken so that its end cannot be found.
        """
        while (record := self._read()) is not None:
            if record.fields or record.problem:
                yield record

    def _read(self) -> Record | None:
        before = self._lines.line
        self._lines.undecodable = False
        try:
            fields, problem = next(self._rows, None), None
        except csv.Error as error:
            fields, problem = [], str(error)
            self._refuse_lost(before, problem)
        if fields is None:
            return None
        if self._lines.undecodable:
            problem = f"expected text in {self._encoding}"
        return Record(before + 1, fields, problem)

    def _refuse_lost(self, before: int, problem: str) -> None:
        # What breaks within a line ends with it; a quote that runs on over others may have
        # swallowed rows, and going on could import the middle of a text as rows.
        if self._lines.line > before + 1:
            raise NonRetryableError(
                f"expected a quoted field to end, got one from line {before + 1} to line "
                f"{self._lines.line} ({problem}); mend the file and import it again"
            )


class _Lines:
    """The lines of a binary file as text, counted; nothing is read ahead."""

    def __init__(self, file: IO[bytes], place: Place, encoding: Encoding) -> None:
        file.seek(place.offset)
        self._file = file
        self._strips_mark = encoding == "utf-8-sig"
        self._encoding = "utf-8" if self._strips_mark else encoding
        self.offset = place.offset
        self.line = place.line
        self.undecodable = False

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        raw = self._file.readline(MAX_LINE_BYTES + 1)
        if not raw:
            raise StopIteration
        if len(raw) > MAX_LINE_BYTES:
            raise NonRetryableError(
                f"expected lines of at most {MAX_LINE_BYTES} bytes, got more in line "
                f"{self.line + 1}; is it CSV?"
            )
        text = self._decoded(raw)
        self.offset += len(raw)
        self.line += 1
        return text

    def _decoded(self, raw: bytes) -> str:
        if self._strips_mark and self.offset == 0:
            raw = self._without_mark(raw)
        try:
            return raw.decode(self._encoding)
        except UnicodeDecodeError:
            self.undecodable = True
            return raw.decode(self._encoding, "replace")

    @staticmethod
    def _without_mark(raw: bytes) -> bytes:
        return raw.removeprefix(codecs.BOM_UTF8)
