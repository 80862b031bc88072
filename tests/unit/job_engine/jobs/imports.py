"""An import job, its file, its table and its attempts."""

from pathlib import Path
from tempfile import gettempdir
from typing import Any

import httpx
import pytest

from failsoft.job_engine.jobs.data_sync.csv_source import CsvSource, ImportSettings
from failsoft.job_engine.jobs.data_sync.import_csv import CsvImport, ImportCsv, ImportReport
from tests.unit.job_engine.jobs.fakes import Crashed, Job, MemoryTables

COLUMNS = {"name": "str", "age": "int"}
PEOPLE = "name,age\n" + "".join(f"person {n},{n}\n" for n in range(1, 8))
URL = "https://files.example.com/people.csv"


class Web:
    """Serves one file; counts how often it is read."""

    def __init__(self, content: bytes = PEOPLE.encode(), status: int = 200) -> None:
        self.content = content
        self.status = status
        self.requests = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        return httpx.Response(self.status, content=self.content, headers={"etag": '"v1"'})


class Bench:
    """One import job, its table and its attempts."""

    def __init__(
        self, web: Web | None = None, tables: MemoryTables | None = None, **settings: Any
    ) -> None:
        self.job = Job()
        self.tables = tables or MemoryTables()
        self.progress: list[tuple[float, str]] = []
        transport = httpx.MockTransport(web or Web())
        source = CsvSource(
            ImportSettings(**{"folder": Path(gettempdir())} | settings), self.job.clock, transport
        )
        self.handler = ImportCsv(
            source, self.tables, lambda _, *progress: self.progress.append(progress)
        )

    def run(self, payload: CsvImport) -> ImportReport:
        return self.job.attempt(self.handler, payload)

    def crash(self, step: str, payload: CsvImport) -> None:
        self.job.ledger.crash_before_recording = step
        with pytest.raises(Crashed):
            self.run(payload)

    @property
    def ages(self) -> list[int]:
        return [row["age"] for row in self.tables.rows]


def people(source: object, **changes: Any) -> CsvImport:
    payload = {"source": str(source), "table": "people", "columns": COLUMNS, "batch_size": 2}
    return CsvImport(**payload | changes)
