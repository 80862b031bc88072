"""The signing keys, which live in the ledger and nowhere else."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from understudy.job_engine.message import SigningKey
from understudy.ledger.database import Database
from understudy.ledger.instants import now_us
from understudy.ledger.tables import signing_keys

_VALID = (
    select(*signing_keys.c)
    .where(signing_keys.c.retired_at.is_(None) | (signing_keys.c.retired_at > now_us()))
    .order_by(signing_keys.c.created_at.desc(), signing_keys.c.kid)
)


class SqlKeys:
    """`KeyLedger` on SQL."""

    def __init__(self, database: Database) -> None:
        """Read a database."""
        self._database = database

    def signing_keys(self) -> Sequence[SigningKey]:
        """Return the keys that are valid, the newest first."""
        found = self._database.read(lambda connection: connection.execute(_VALID).all())
        return [SigningKey(row.kid, bytes(row.secret)) for row in found]


def ensure_key(connection: Connection) -> None:
    """Make the first signing key if the ledger holds none."""
    if connection.execute(_VALID).first() is None:
        key = SigningKey.generate()
        connection.execute(
            insert(signing_keys).values(kid=key.kid, secret=key.secret, created_at=now_us())
        )
