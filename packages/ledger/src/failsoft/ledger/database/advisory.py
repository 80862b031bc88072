"""PostgreSQL's advisory locks, held to the end of the transaction; SQLite has one writer anyway."""

from sqlalchemy import Connection, text

_ALONE = text("SELECT pg_advisory_xact_lock(:key)")
_SHARED = text("SELECT pg_advisory_xact_lock_shared(:key)")


def lock(connection: Connection, digest: str, *, shared: bool = False) -> None:
    """Wait for the lock of a digest in hexadecimal, alone or shared with others."""
    if connection.dialect.name == "postgresql":
        key = int.from_bytes(bytes.fromhex(digest[:16]), signed=True)
        connection.execute(_SHARED if shared else _ALONE, {"key": key})
