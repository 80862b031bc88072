import csv
import io
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failsoft.job_engine import NonRetryableError
from failsoft.job_engine.jobs.data_sync.csv_reader import (
    MAX_LINE_BYTES,
    CsvReader,
    Place,
    Record,
)

TEXT = st.text(st.characters(exclude_characters="\r\0", codec="utf-8"), max_size=8)
ROWS = st.lists(st.lists(TEXT, min_size=2, max_size=3), max_size=8)


def reader(content: bytes | str, place: Place | None = None, **options: Any) -> CsvReader:
    raw = content if isinstance(content, bytes) else content.encode()
    chosen = {"encoding": "utf-8-sig", "delimiter": ","} | options
    return CsvReader(io.BytesIO(raw), place or Place(), **chosen)


def read(content: bytes | str, **options: Any) -> list[Record]:
    return list(reader(content, **options))


def written(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n", quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue().encode()


@given(ROWS)
def test_what_a_csv_writer_wrote_is_read(rows: list[list[str]]) -> None:
    assert [record.fields for record in read(written(rows), encoding="utf-8")] == rows


@given(ROWS)
def test_reading_on_from_any_place_gives_the_rows_after_it(rows: list[list[str]]) -> None:
    content = written(rows)
    whole, places = [], [Place()]
    first = reader(content)
    for record in first:
        whole.append(record)
        places.append(first.place)

    for taken, place in enumerate(places):
        assert list(reader(content, place)) == whole[taken:]


@given(st.binary(max_size=64))
def test_no_bytes_break_the_reader(content: bytes) -> None:
    try:
        records = read(content)
    except NonRetryableError:
        return
    assert all(record.fields or record.problem for record in records)


def test_each_record_has_its_first_line() -> None:
    records = read('a\n"b\nc"\n\n\nd\n')

    assert [(record.line, record.fields) for record in records] == [
        (1, ["a"]),
        (2, ["b\nc"]),
        (6, ["d"]),
    ]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_is_left_out(mark: bytes) -> None:
    assert read(mark + b"a,b\n")[0].fields == ["a", "b"]


def test_a_byte_order_mark_elsewhere_is_text() -> None:
    content = b"a\n\xef\xbb\xbfb\n"

    [record] = reader(content, Place(offset=2, line=1))

    assert record.fields == ["\ufeffb"]


def test_the_delimiter_and_the_encoding_are_as_said() -> None:
    assert read("ä;b\n".encode("cp1252"), encoding="cp1252", delimiter=";")[0].fields == ["ä", "b"]


def test_a_last_line_may_do_without_its_end() -> None:
    assert [record.fields for record in read("a\nb")] == [["a"], ["b"]]


def test_a_row_in_another_encoding_is_a_problem_of_that_row() -> None:
    records = read(b"a\n" + "ä\n".encode("cp1252") + b"b\n")

    assert [record.problem for record in records] == [None, "expected text in utf-8-sig", None]


def test_a_quote_that_breaks_within_its_line_is_a_problem_of_that_row() -> None:
    records = read('a,b\n"x"y,b\nc,d\n')

    assert [record.problem is None for record in records] == [True, False, True]
    assert records[2].fields == ["c", "d"]


def test_a_quote_that_never_ends_stops_the_reading_where_it_began() -> None:
    rows = reader('a,b\n1,"oops\n2,x\n3,y\n')

    with pytest.raises(NonRetryableError, match="from line 2 to line 4"):
        list(rows)


def test_a_line_that_never_ends_is_not_read_whole() -> None:
    with pytest.raises(NonRetryableError, match="line 2"):
        read(b"a\n" + b"x" * (MAX_LINE_BYTES + 1))


def test_nothing_is_read_ahead() -> None:
    file = io.BytesIO(b"a\nb\nc\n")
    rows = iter(CsvReader(file, Place(), encoding="utf-8", delimiter=","))

    next(rows)

    assert file.tell() == 2
