from datetime import UTC, date, datetime
from typing import Any

import pytest

from failsoft.job_engine import NonRetryableError
from failsoft.job_engine.jobs.data_sync.csv_reader import Record
from failsoft.job_engine.jobs.data_sync.row_schema import (
    BadRowError,
    Positions,
    RowParser,
    find_columns,
)
from failsoft.job_engine.jobs.data_sync.table_sink import Column, ColumnType, TableShape


def parsed(kind: ColumnType, text: str, *, nullable: bool = False) -> Any:
    table = TableShape("t", (Column("c", kind, nullable),))
    parser = RowParser(table, Positions(width=1, columns={"c": 0}))
    return parser.parse(Record(1, [text]))["c"]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("str", "", ""),
        ("str", " a ", " a "),
        ("int", "-7", -7),
        ("int", " 7 ", 7),
        ("int", str(2**63 - 1), 2**63 - 1),
        ("float", "1.5e3", 1500.0),
        ("bool", "true", True),
        ("bool", "0", False),
        ("date", "2024-01-31", date(2024, 1, 31)),
        ("datetime", "2024-01-31T12:00:00", datetime(2024, 1, 31, 12, tzinfo=UTC)),
        ("datetime", "2024-01-31 12:00:00+02:00", datetime(2024, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_a_text_becomes_a_value_of_its_type(kind: ColumnType, text: str, value: Any) -> None:
    found = parsed(kind, text)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("str", "a\0b"),
        ("int", ""),
        ("int", "x"),
        ("int", "1.5"),
        ("int", str(2**63)),
        ("float", "nan"),
        ("float", "inf"),
        ("float", "1,5"),
        ("bool", "maybe"),
        ("date", "20240131"),
        ("date", "1706659200"),
        ("date", "31.01.2024"),
        ("date", "2024-02-30"),
        ("datetime", "1706659200"),
        ("datetime", "20240131"),
    ],
)
def test_a_text_that_is_none_of_its_type_is_refused(kind: ColumnType, text: str) -> None:
    with pytest.raises(BadRowError, match=r"^c: "):
        parsed(kind, text)


@pytest.mark.parametrize("kind", ["int", "float", "bool", "date", "datetime"])
def test_a_reason_shows_no_value(kind: ColumnType) -> None:
    with pytest.raises(BadRowError) as raised:
        parsed(kind, "hunter2")

    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("kind", ["str", "int", "float", "bool", "date", "datetime"])
def test_a_nullable_column_reads_nothing_as_none(kind: ColumnType) -> None:
    assert parsed(kind, "", nullable=True) is None


def test_a_nullable_column_still_refuses_what_is_none_of_its_type() -> None:
    with pytest.raises(BadRowError):
        parsed("int", "x", nullable=True)


def test_every_wrong_column_is_named() -> None:
    table = TableShape("t", (Column("a", "int"), Column("b", "int")))
    parser = RowParser(table, Positions(width=2, columns={"a": 0, "b": 1}))

    with pytest.raises(BadRowError, match=r"^a: .*; b: "):
        parser.parse(Record(1, ["x", "y"]))


@pytest.mark.parametrize("name", ["model_config", "copy", "json", "schema", "self", "_x", "class"])
def test_a_column_may_have_any_identifier_as_its_name(name: str) -> None:
    table = TableShape("t", (Column(name, "int"),))
    parser = RowParser(table, Positions(width=1, columns={name: 0}))

    assert parser.parse(Record(1, ["7"])) == {name: 7}


@pytest.mark.parametrize("fields", [["1"], ["1", "2", "3"]])
def test_a_row_of_another_width_is_refused(fields: list[str]) -> None:
    table = TableShape("t", (Column("a", "int"),))
    parser = RowParser(table, Positions(width=2, columns={"a": 0}))

    with pytest.raises(BadRowError, match=f"expected 2 fields, got {len(fields)}"):
        parser.parse(Record(1, fields))


def test_columns_are_found_whatever_their_order_case_and_spaces() -> None:
    table = TableShape("t", (Column("miles_per_gallon", "float"), Column("name", "str")))

    found = find_columns(["Name", "extra", "Miles per Gallon"], table)

    assert found == Positions(width=3, columns={"miles_per_gallon": 2, "name": 0})


def test_a_missing_column_is_named() -> None:
    table = TableShape("t", (Column("a", "int"), Column("b", "int")))

    with pytest.raises(NonRetryableError, match="missing: b"):
        find_columns(["a"], table)


def test_a_column_that_is_there_twice_is_named() -> None:
    table = TableShape("t", (Column("a", "int"),))

    with pytest.raises(NonRetryableError, match="twice: a"):
        find_columns(["a", "A "], table)


def test_a_nullable_column_may_be_missing() -> None:
    table = TableShape("t", (Column("a", "int"), Column("b", "int", nullable=True)))
    positions = find_columns(["a"], table)

    assert RowParser(table, positions).parse(Record(1, ["7"])) == {"a": 7, "b": None}
