"""Rows of text as typed rows, by a pydantic model made from the declared columns."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    FiniteFloat,
    ValidationError,
    create_model,
)

from failsoft.job_engine.errors import NonRetryableError
from failsoft.job_engine.jobs.data_sync.csv_reader import Record
from failsoft.job_engine.jobs.data_sync.table_sink import Column, ColumnType, Row, TableShape
from failsoft.job_engine.values.codec import describe

#: A reason is cut to this many characters.
MAX_REASON = 200

_ISO_DATE = re.compile(r"\s*\d{4}-\d\d-\d\d")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")


class BadRowError(ValueError):
    """A row does not fit the declared columns."""


def _refuse_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("expected text without NUL characters")
    return text


def _refuse_bare_number(text: Any) -> Any:
    # pydantic would read 20240131 as seconds since 1970, unnoticed.
    if isinstance(text, str) and not _ISO_DATE.match(text):
        raise ValueError("expected a date like 2024-01-31")
    return text


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _absent(text: Any) -> Any:
    return None if text == "" else text


_TYPES: Mapping[ColumnType, Any] = {
    "str": Annotated[str, AfterValidator(_refuse_nul)],
    "int": Annotated[int, Field(ge=-(2**63), le=2**63 - 1)],
    "float": FiniteFloat,
    "bool": bool,
    "date": Annotated[date, BeforeValidator(_refuse_bare_number)],
    "datetime": Annotated[datetime, BeforeValidator(_refuse_bare_number), AfterValidator(_utc)],
}


def row_model(columns: Sequence[Column]) -> type[BaseModel]:
    """Make the model of a row; a column's name is its field's alias.

    Nullable columns read an empty field as None. Times without a zone are UTC.
    """
    # Not the columns' own names: some of them mean something to pydantic.
    fields = {f"c{n}": _field(column) for n, column in enumerate(columns)}
    model: type[BaseModel] = create_model("Row", **fields)  # type: ignore[call-overload]  # the fields are known at run time only
    return model


def _field(column: Column) -> tuple[Any, Any]:
    kind = _TYPES[column.type]
    if column.nullable:
        kind = Annotated[kind | None, BeforeValidator(_absent)]
    return kind, Field(alias=column.name)


class Positions(BaseModel):
    """Where the declared columns stand in the file.

    Attributes:
        width: How many fields a row has.
        columns: The place of each declared column that the file has, from 0.
    """

    width: int
    columns: dict[str, int]


def find_columns(header: Sequence[str], table: TableShape) -> Positions:
    """Find the declared columns by the header of the file.

    A header is compared in lower case with `_` for all that is neither letter nor digit, so
    that `Miles per Gallon` names the column `miles_per_gallon`.

    Raises:
        NonRetryableError: If a column that is not nullable is missing, or one is there twice.
    """
    names = [_NOT_IN_NAMES.sub("_", name.lower()).strip("_") for name in header]
    headers = {
        column.name: _NOT_IN_NAMES.sub("_", column.name).strip("_") for column in table.columns
    }
    missing = [c.name for c in table.columns if not c.nullable and headers[c.name] not in names]
    twice = sorted(name for name, header in headers.items() if names.count(header) > 1)
    if missing or twice:
        raise NonRetryableError(
            f"expected a header with the columns {', '.join(headers)}, once each; "
            f"missing: {', '.join(missing) or 'none'}; twice: {', '.join(twice) or 'none'}"
        )
    columns = {name: names.index(header) for name, header in headers.items() if header in names}
    return Positions(width=len(names), columns=columns)


class RowParser:
    """Makes typed rows of a file's."""

    def __init__(self, table: TableShape, positions: Positions) -> None:
        self._columns = [column.name for column in table.columns]
        self._positions = positions
        self._model = row_model(table.columns)

    def parse(self, record: Record) -> Row:
        """Return the row of a record.

        Raises:
            BadRowError: If it does not fit; the message says why and shows no value.
        """
        self._check_shape(record)
        texts = {
            name: record.fields[self._positions.columns[name]]
            if name in self._positions.columns
            else None
            for name in self._columns
        }
        try:
            return self._model.model_validate(texts).model_dump(by_alias=True)
        except ValidationError as error:
            raise BadRowError(describe(error)[:MAX_REASON]) from None

    def _check_shape(self, record: Record) -> None:
        if record.problem is not None:
            raise BadRowError(record.problem[:MAX_REASON])
        if len(record.fields) != self._positions.width:
            raise BadRowError(f"expected {self._positions.width} fields, got {len(record.fields)}")
