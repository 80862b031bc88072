"""What another transaction wrote counts only when a synchronous replica has it.

PostgreSQL gives up its wait for the replica when a session is ended (SIGTERM of the backend, a fast
shutdown): the commit stands on the primary alone, visible to all, although it was not reported to
its client. A dispatch that finds those rows would report a job that a fail-over takes away, and a
worker that finds its claim among them would run an attempt that the new primary never began; see
docs/how-to/postgresql-cluster.md.
"""

from sqlalchemy import Connection

#: Writes a record that stands in no table, because a commit that has none does not wait: an id of a
#: transaction (`txid_current()`) is not enough. Every role may call it.
_RECORD = "SELECT pg_logical_emit_message(true, 'failsoft', '')"


def expect_replicated(connection: Connection) -> None:
    """Let the commit of this transaction wait for the replica although it has written nothing."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_RECORD)
