"""Import a CSV file into a table of a database, batch by batch, each row exactly once."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator
from tenacity import wait_exponential, wait_random

from failsoft.job_engine.definitions.decorators import declare_job
from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.errors import NonRetryableError
from failsoft.job_engine.jobs.data_sync.csv_file import CsvFile, CsvOpener, Fingerprint
from failsoft.job_engine.jobs.data_sync.csv_reader import CsvReader, Encoding, Place, Record
from failsoft.job_engine.jobs.data_sync.row_schema import (
    BadRowError,
    Positions,
    RowParser,
    find_columns,
)
from failsoft.job_engine.jobs.data_sync.table_sink import (
    Column,
    ColumnType,
    Identifier,
    Row,
    TableShape,
    TableSink,
)
from failsoft.job_engine.policies.retry import RetryPolicy
from failsoft.job_engine.steps.context import JobContext

#: Called after each batch with the share of the file that is done, from 0 to 1, and in words.
ProgressHook = Callable[[JobContext, float, str], None]

_RESERVED = ("failsoft_", "sqlite_", "pg_")


class CsvImport(BaseModel):
    """One file and the table it goes to.

    Attributes:
        source: A path, or an `http` or `https` URL.
        table: The table; created if it is missing.
        columns: Its columns and their types; the file may have others, which are left out.
        nullable: The columns that may be empty or missing.
        batch_size: How many rows are written in one transaction.
        delimiter: What stands between two fields.
        encoding: How the file's text is encoded.
        keep_bad: How many bad rows the result lists; it counts all.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    source: Annotated[str, Field(min_length=1, max_length=2000)]
    table: Identifier
    columns: dict[Identifier, ColumnType] = Field(min_length=1, max_length=256)
    nullable: tuple[Identifier, ...] = ()
    batch_size: int = Field(default=1000, ge=1, le=10_000)
    delimiter: str = Field(default=",", pattern=r'^[^"\r\n]$')
    encoding: Encoding = "utf-8-sig"
    keep_bad: int = Field(default=100, ge=0, le=200)

    @property
    def shape(self) -> TableShape:
        """Return the table as the database needs to know it."""
        columns = (Column(name, kind, name in self.nullable) for name, kind in self.columns.items())
        return TableShape(self.table, tuple(columns))

    @model_validator(mode="after")
    def _check(self) -> "CsvImport":
        if self.table.startswith(_RESERVED):
            raise ValueError(f"expected a table whose name begins with none of {_RESERVED}")
        unknown = sorted(set(self.nullable) - self.columns.keys())
        if unknown:
            raise ValueError(f"expected nullable columns among the columns, got {unknown}")
        return self


class BadRow(BaseModel):
    """A row that was left out, by the number of its first line, and why."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    line: int
    reason: str


class ImportReport(BaseModel):
    """What became of the rows; the header is none of them."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    rows_read: int = 0
    rows_imported: int = 0
    rows_bad: int = 0
    bad: tuple[BadRow, ...] = ()

    def plus(self, other: "ImportReport") -> "ImportReport":
        """Return the sum of two reports."""
        return ImportReport(
            rows_read=self.rows_read + other.rows_read,
            rows_imported=self.rows_imported + other.rows_imported,
            rows_bad=self.rows_bad + other.rows_bad,
            bad=(*self.bad, *other.bad),
        )


class Plan(BaseModel):
    """What was found when the import began; a resumed attempt goes by it."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    fingerprint: Fingerprint
    positions: Positions
    start: Place


class Batch(BaseModel):
    """A batch that was written, and where the next one begins; None at the end of the file."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    report: ImportReport
    next: Place | None


import_csv: JobDefinition[CsvImport, ImportReport] = declare_job(
    "import_csv",
    payload=CsvImport,
    result=ImportReport,
    queue="data-sync",
    # Ten minutes: a database that is restarted is back by then.
    retry=RetryPolicy(
        max_attempts=8, wait=wait_exponential(multiplier=5, max=320) + wait_random(0, 5)
    ),
)


def log_progress(ctx: JobContext, done: float, words: str) -> None:
    """Log how far the import is."""
    ctx.log.info("%d %% of the file: %s", int(done * 100), words)


class ImportCsv:
    """The handler of `import_csv`.

    Each batch is one step and one transaction, which also writes the batch's key: a batch that
    was committed but not recorded before a crash is met again by its key, and not inserted twice.
    """

    def __init__(
        self, source: CsvOpener, sink: TableSink, on_progress: ProgressHook = log_progress
    ) -> None:
        self._source = source
        self._sink = sink
        self._on_progress = on_progress

    def __call__(self, payload: CsvImport, ctx: JobContext) -> ImportReport:
        """Import the file.

        Raises:
            NonRetryableError: If the file cannot be imported, or changed since the import began.
            SourceUnavailableError: If it is not on this host; see also `CsvSource.open`.
            TablesUnavailableError: If the database does not answer.
        """
        with ExitStack() as files:
            run = _Run(payload, self._source, self._sink, files)
            plan = ctx.run("inspect", run.inspect)
            ctx.run("prepare-table", self._sink.ensure, payload.shape)
            report, number = ImportReport(), 0
            place: Place | None = plan.start
            while place is not None:
                number += 1
                name = f"batch-{number}"
                keep = payload.keep_bad - len(report.bad)
                work = Work(place, ctx.idempotency_key(name), keep)
                batch = ctx.run(name, run.write_batch, plan, work)
                report, place = report.plus(batch.report), batch.next
                if run.has_begun:
                    self._emit(ctx, plan, place, report)
        return report

    def _emit(self, ctx: JobContext, plan: Plan, place: Place | None, report: ImportReport) -> None:
        done = 1.0 if place is None else place.offset / plan.fingerprint.size
        words = f"{report.rows_imported} of {report.rows_read} rows imported"
        self._on_progress(ctx, done, words)


@dataclass(frozen=True, slots=True)
class Work:
    """A batch to write: where its rows begin, its key, how many bad rows to list."""

    place: Place
    key: str
    keep_bad: int


class _Run:
    """One attempt at an import; the file is opened when a step first needs it."""

    def __init__(
        self, payload: CsvImport, source: CsvOpener, sink: TableSink, files: ExitStack
    ) -> None:
        self._payload = payload
        self._source = source
        self._sink = sink
        self._files = files
        self._file: CsvFile | None = None
        self._parser: RowParser | None = None

    @property
    def has_begun(self) -> bool:
        """Return whether any step ran in this attempt, rather than being met in the ledger."""
        return self._file is not None

    def inspect(self) -> Plan:
        """Find out what the file is and where the declared columns stand in it."""
        file = self._open()
        reader = self._reader(file, Place())
        header = next(iter(reader), None)
        if header is None or header.problem:
            problem = header.problem if header else "an empty file"
            raise NonRetryableError(f"expected a header in the first line, got {problem}")
        positions = find_columns(header.fields, self._payload.shape)
        return Plan(fingerprint=file.fingerprint, positions=positions, start=reader.place)

    def write_batch(self, plan: Plan, work: Work) -> Batch:
        """Read the next rows and write the good ones."""
        file = self._open()
        _refuse_another(file.fingerprint, plan.fingerprint)
        reader = self._reader(file, work.place)
        records = list(islice(reader, self._payload.batch_size))
        rows, bad = _sorted_out(self._parser_for(plan), records)
        file.check_unchanged()
        imported = self._sink.write_batch(self._payload.shape, work.key, rows) if rows else 0
        report = ImportReport(
            rows_read=len(records),
            rows_imported=imported,
            rows_bad=len(bad),
            bad=tuple(bad[: work.keep_bad]),
        )
        ended = len(records) < self._payload.batch_size
        return Batch(report=report, next=None if ended else reader.place)

    def _open(self) -> CsvFile:
        if self._file is None:
            self._file = self._files.enter_context(self._source.open(self._payload.source))
        return self._file

    def _parser_for(self, plan: Plan) -> RowParser:
        if self._parser is None:
            self._parser = RowParser(self._payload.shape, plan.positions)
        return self._parser

    def _reader(self, file: CsvFile, place: Place) -> CsvReader:
        payload = self._payload
        return CsvReader(file.file, place, encoding=payload.encoding, delimiter=payload.delimiter)


def _sorted_out(
    parser: RowParser, records: Iterable[Record]
) -> tuple[Sequence[Row], Sequence[BadRow]]:
    rows: list[Row] = []
    bad: list[BadRow] = []
    for record in records:
        try:
            rows.append(parser.parse(record))
        except BadRowError as error:
            bad.append(BadRow(line=record.line, reason=str(error)))
    return rows, bad


def _refuse_another(found: Fingerprint, expected: Fingerprint) -> None:
    if (found.size, found.sha256) != (expected.size, expected.sha256):
        raise NonRetryableError(
            "expected the file the import began with "
            f"({expected.size} bytes, sha256 {expected.sha256[:12]}), got another one "
            f"({found.size} bytes, sha256 {found.sha256[:12]}); the batches written so far stay, "
            "dispatch a new import for the rest"
        )
