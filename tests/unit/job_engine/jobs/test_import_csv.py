from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from failsoft.job_engine import NonRetryableError
from failsoft.job_engine.jobs.data_sync.import_csv import (
    BadRow,
    CsvImport,
    ImportReport,
    import_csv,
)
from failsoft.job_engine.jobs.data_sync.table_sink import Row, TableShape
from failsoft.job_engine.values.codec import MAX_PAYLOAD_BYTES, encode_payload
from tests.unit.job_engine.jobs.fakes import JOB_ID, MemoryTables
from tests.unit.job_engine.jobs.imports import PEOPLE, Bench, people


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(PEOPLE)
    return path


def test_every_row_is_imported_in_batches(file: Path) -> None:
    bench = Bench()

    report = bench.run(people(file))

    assert report == ImportReport(rows_read=7, rows_imported=7)
    assert bench.tables.rows[0] == {"name": "person 1", "age": 1}
    assert list(bench.tables.batches) == [f"{JOB_ID}:batch-{n}" for n in (1, 2, 3, 4)]
    assert bench.job.ledger.names == [
        "inspect",
        "prepare-table",
        *(f"batch-{n}" for n in (1, 2, 3, 4)),
    ]


def test_a_file_that_fills_its_last_batch_ends_with_an_empty_one(file: Path) -> None:
    bench = Bench()

    report = bench.run(people(file, batch_size=7))

    assert report.rows_imported == 7
    assert len(bench.tables.batches) == 1


@pytest.mark.parametrize(
    "step", ["inspect", "prepare-table", "batch-1", "batch-2", "batch-3", "batch-4"]
)
def test_an_import_cut_off_anywhere_has_every_row_once(file: Path, step: str) -> None:
    bench = Bench()
    bench.crash(step, people(file))

    report = bench.run(people(file))

    assert report == ImportReport(rows_read=7, rows_imported=7)
    assert bench.ages == [1, 2, 3, 4, 5, 6, 7]


def test_an_import_that_crashes_at_every_batch_has_every_row_once(file: Path) -> None:
    bench = Bench()
    for number in (1, 2, 3, 4):
        bench.crash(f"batch-{number}", people(file))

    report = bench.run(people(file))

    assert report.rows_imported == 7
    assert bench.ages == [1, 2, 3, 4, 5, 6, 7]
    assert bench.tables.writes == 8


def test_a_resumed_import_writes_only_what_was_not_recorded(file: Path) -> None:
    bench = Bench()
    bench.crash("batch-3", people(file))

    bench.run(people(file))

    assert bench.tables.writes == 5


def test_an_import_that_is_recorded_whole_needs_its_file_no_more(file: Path) -> None:
    bench = Bench()
    first = bench.run(people(file))
    file.unlink()

    assert bench.run(people(file)) == first


def test_a_file_that_changed_before_the_import_resumed_is_refused(file: Path) -> None:
    bench = Bench()
    bench.crash("batch-2", people(file))
    file.write_text(PEOPLE.replace("person 7", "Person 7"))

    with pytest.raises(NonRetryableError, match=r"sha256.*dispatch a new import"):
        bench.run(people(file))

    assert bench.ages == [1, 2, 3, 4]


def test_a_file_that_is_written_to_meanwhile_is_refused(file: Path) -> None:
    class Meddling(MemoryTables):
        def write_batch(self, table: TableShape, key: str, rows: Sequence[Row]) -> int:
            with file.open("a") as more:
                more.write("person 8,8\n")
            return super().write_batch(table, key, rows)

    bench = Bench(tables=Meddling())

    with pytest.raises(NonRetryableError, match="written to"):
        bench.run(people(file))

    assert bench.ages == [1, 2]


def test_bad_rows_are_left_out_and_listed_by_line(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(b'name,age\nann,1\nbob,x\ncy\n"d\nd",4\nz\xff,5\neve,\n"f"f,6\ngus,7\n')
    bench = Bench()

    report = bench.run(people(path))

    assert bench.ages == [1, 4, 7]
    assert (report.rows_read, report.rows_imported, report.rows_bad) == (8, 3, 5)
    assert [row.line for row in report.bad] == [3, 4, 7, 8, 9]
    assert report.bad[0].reason.startswith("age: Input should be a valid integer")
    assert report.bad[1] == BadRow(line=4, reason="expected 2 fields, got 1")
    assert report.bad[2].reason == "expected text in utf-8-sig"


def test_every_bad_row_is_counted_and_only_some_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("name,age\n" + "ann,x\n" * 9)
    bench = Bench()
    bench.crash("batch-2", people(path, keep_bad=3))

    report = bench.run(people(path, keep_bad=3))

    assert (report.rows_bad, [row.line for row in report.bad]) == (9, [2, 3, 4])
    assert bench.tables.batches == {}


def test_the_columns_are_named_by_the_header_and_others_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("Age;Shoe Size;Full Name\n40;;Ann\n")
    bench = Bench()

    bench.run(
        people(
            path,
            columns={"full_name": "str", "age": "int", "shoe_size": "float", "town": "str"},
            nullable=["shoe_size", "town"],
            delimiter=";",
        )
    )

    assert bench.tables.rows == [{"full_name": "Ann", "age": 40, "shoe_size": None, "town": None}]


@pytest.mark.parametrize("content", ["", "\n\n", "nom,age\n", "name\n", 'name,"age'])
def test_a_file_without_the_header_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "people.csv"
    path.write_text(content)
    bench = Bench()

    with pytest.raises(NonRetryableError, match="header"):
        bench.run(people(path))

    assert bench.tables.shapes == {}


def test_a_file_with_a_header_only_imports_nothing(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("name,age")
    bench = Bench()

    assert bench.run(people(path)) == ImportReport()
    assert bench.tables.shapes["people"] == people(path).shape


def test_the_progress_is_reported_for_the_batches_of_this_attempt(file: Path) -> None:
    bench = Bench()
    bench.crash("batch-3", people(file))
    bench.progress.clear()

    bench.run(people(file))

    assert [words for _, words in bench.progress] == [
        "6 of 6 rows imported",
        "7 of 7 rows imported",
    ]
    assert 0 < bench.progress[0][0] < bench.progress[1][0] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"table": "people; drop table people"},
        {"table": "People"},
        {"table": ""},
        {"table": "p" * 64},
        {"table": "people\n"},
        {"table": "failsoft_jobs"},
        {"table": "sqlite_master"},
        {"table": "pg_class"},
        {"columns": {}},
        {"columns": {'a"b': "int"}},
        {"columns": {"a": "json"}},
        {"nullable": ["shoe_size"]},
        {"batch_size": 0},
        {"batch_size": 1_000_000},
        {"delimiter": ""},
        {"delimiter": ",,"},
        {"delimiter": '"'},
        {"delimiter": "\n"},
        {"encoding": "utf-16"},
        {"encoding": "zip"},
        {"keep_bad": 100_000},
        {"upsert": True},
    ],
)
def test_a_payload_that_could_do_harm_is_refused_before_it_is_stored(changes: Any) -> None:
    with pytest.raises(ValidationError):
        people("people.csv", **changes)


def test_a_source_must_be_named() -> None:
    with pytest.raises(ValidationError):
        people("")


def test_the_payload_survives_the_ledger() -> None:
    payload = people("people.csv", nullable=["age"])

    stored = encode_payload(payload, CsvImport, MAX_PAYLOAD_BYTES)

    assert import_csv.decode(stored) == payload
    assert import_csv.decode(stored).shape == payload.shape


def test_the_handler_fits_its_declaration() -> None:
    assert import_csv.bind(Bench().handler).handler is not None
    assert import_csv.queue.name == "data-sync"


def test_the_largest_list_of_bad_rows_fits_the_ledger() -> None:
    bad = [BadRow(line=10**9 + n, reason="\u20ac" * 200) for n in range(200)]

    text = import_csv.result.encode(ImportReport(rows_bad=200, bad=tuple(bad)))

    assert import_csv.result.decode(text).rows_bad == 200
