"""What a ledger sends its driver, below SQLAlchemy: every statement, and none unseen."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import event

from failsoft.ledger import Database
from failsoft.ledger.database.sqlite.ledger_file import LedgerConnection

#: Called with the driver's cursor; what it raises, the statement raises.
Hook = Callable[[Any], object]


def nothing(cursor: Any) -> None:
    """Do nothing about a statement."""


class _Hooks:
    before: Hook = staticmethod(nothing)
    after: Hook = staticmethod(nothing)


def watch(database: Database, before: Hook, after: Hook = nothing) -> Callable[[], None]:
    """Call a hook before, and one after, each statement; return what ends that."""
    hooks, engine = _Hooks(), database.engine
    options = _sqlite(hooks) if engine.dialect.name == "sqlite" else _postgresql(hooks)

    def connecting(dialect: Any, record: Any, arguments: Any, given: dict[str, Any]) -> None:
        given.update(options)

    def end() -> None:
        event.remove(engine, "do_connect", connecting)
        database.close()

    event.listen(engine, "do_connect", connecting)
    database.close()
    # What an engine sends at its first connection is none of the ledger's.
    engine.connect().close()
    hooks.before, hooks.after = before, after
    return end


@contextmanager
def watched(database: Database, before: Hook, after: Hook = nothing) -> Iterator[None]:
    """Watch every statement of a database's while a block runs."""
    end = watch(database, before, after)
    try:
        yield
    finally:
        end()


def _sqlite(hooks: _Hooks) -> dict[str, Any]:
    class Cursor(sqlite3.Cursor):
        def execute(self, *statement: Any) -> sqlite3.Cursor:
            hooks.before(self)
            super().execute(*statement)
            hooks.after(self)
            return self

    class Connection(LedgerConnection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def execute(self, *statement: Any) -> sqlite3.Cursor:
            return self.cursor().execute(*statement)

    return {"factory": Connection}


def _postgresql(hooks: _Hooks) -> dict[str, Any]:
    class Cursor(psycopg.Cursor[Any]):
        def execute(self, *statement: Any, **options: Any) -> Any:
            hooks.before(self)
            super().execute(*statement, **options)
            hooks.after(self)
            return self

    return {"cursor_factory": Cursor}
