"""Time in the ledger: whole microseconds since 1970 UTC, read from the database's clock.

One clock decides what is due and what has expired (rule 12). Integers compare and add the
same way on SQLite and PostgreSQL.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(span: timedelta) -> int:
    """Return a span in whole microseconds."""
    return span // _MICROSECOND


def stored(moment: datetime) -> int:
    """Return the integer that an aware moment is stored as."""
    return microseconds(moment - _EPOCH)


def instant(value: int) -> datetime:
    """Return the aware moment of a stored integer."""
    return _EPOCH + timedelta(microseconds=value)


class Instant(TypeDecorator[datetime]):
    """An aware moment, stored as microseconds since 1970 UTC."""

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = BigInteger
    cache_ok: bool | None = True

    def process_bind_param(self, value: datetime | int | None, dialect: Dialect) -> int | None:
        """Store an aware moment, or microseconds as they are."""
        if isinstance(value, datetime):
            return stored(value)
        return value

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Read an aware moment."""
        return None if value is None else instant(value)


class now_us(FunctionElement[int]):  # noqa: N801 - reads as the SQL function it is
    """The database's clock, in microseconds since 1970 UTC."""

    type: TypeEngine[int] = BigInteger()
    inherit_cache: bool | None = True


@compiles(now_us, "postgresql")
def _on_postgresql(element: now_us, compiler: SQLCompiler, **kwargs: Any) -> str:
    # clock_timestamp() and not now(): a transaction may have waited long for a row.
    return "(extract(epoch from clock_timestamp()) * 1000000)::bigint"


@compiles(now_us, "sqlite")
def _on_sqlite(element: now_us, compiler: SQLCompiler, **kwargs: Any) -> str:
    return "(failsoft_now_ns() / 1000)"
