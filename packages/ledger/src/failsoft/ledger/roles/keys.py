"""The signing keys, which live in the ledger and nowhere else."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, case, delete, insert, select, update

from failsoft.job_engine.records.job import KeyRecord
from failsoft.job_engine.records.message import ACTIVATION, SigningKey
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.database.timestamps import instant, microseconds, now_us
from failsoft.ledger.schema.tables import signing_keys

_IS_VALID = signing_keys.c.retired_at.is_(None) | (signing_keys.c.retired_at > now_us())
_IS_YOUNG = signing_keys.c.created_at > now_us() - microseconds(ACTIVATION)
#: Of those that not every process has read yet, the oldest has been read by the most.
_OLDEST_OF_YOUNG = case((_IS_YOUNG, signing_keys.c.created_at))
#: The one that signs first: keys that not every process has read yet come last.
_VALID = (
    select(*signing_keys.c, now_us().label("now"))
    .where(_IS_VALID)
    .order_by(
        case((_IS_YOUNG, 1), else_=0),
        _OLDEST_OF_YOUNG,
        signing_keys.c.created_at.desc(),
        signing_keys.c.kid,
    )
)
_LASTING = select(signing_keys.c.kid).where(signing_keys.c.retired_at.is_(None))
_FORGET = delete(signing_keys).where(signing_keys.c.retired_at <= now_us())


class SqlKeys(SqlRole):
    """`KeyLedger` on SQL."""

    def signing_keys(self) -> Sequence[SigningKey]:
        """Return the keys that are valid, the one to sign with first."""
        found = self._database.read(lambda connection: connection.execute(_VALID).all())
        return [SigningKey(row.kid, bytes(row.secret)) for row in found]

    def key_records(self) -> Sequence[KeyRecord]:
        """Return what is known of the valid keys but their secrets, in the same order."""
        found = self._database.read(lambda connection: connection.execute(_VALID).all())
        return [
            KeyRecord(row.kid, row.created_at, row.retired_at, _age(row.created_at, row.now))
            for row in found
        ]

    def rotate_keys(self, overlap: timedelta) -> str:
        """Add a key, let every other one end after the overlap, and delete those that have."""
        key = SigningKey.generate()
        return self._database.write(lambda connection: _rotate(connection, key, overlap))

    def revoke_key(self, kid: str) -> bool:
        """End a key at once; make another one where none would be left to sign for good."""
        spare = SigningKey.generate()
        return self._database.write(lambda connection: _revoke(connection, kid, spare))

    def forget_ended_keys(self) -> int:
        """Delete the keys that are no longer accepted; return how many."""
        return self._database.write(lambda connection: connection.execute(_FORGET).rowcount)


def ensure_key(connection: Connection) -> None:
    """Make the first signing key if the ledger holds none."""
    if connection.execute(_VALID).first() is None:
        _add(connection, SigningKey.generate())


def _rotate(connection: Connection, key: SigningKey, overlap: timedelta) -> str:
    connection.execute(_FORGET)
    ends_at = now_us() + microseconds(ACTIVATION + overlap)
    # Not the new one, which is there already where this runs again after a lost reply (F22).
    others = signing_keys.c.retired_at.is_(None) & (signing_keys.c.kid != key.kid)
    connection.execute(update(signing_keys).where(others).values(retired_at=ends_at))
    _add(connection, key)
    return key.kid


def _revoke(connection: Connection, kid: str, spare: SigningKey) -> bool:
    is_it = signing_keys.c.kid == kid
    now = update(signing_keys).where(is_it, _IS_VALID).values(retired_at=now_us())
    connection.execute(now)
    if connection.execute(_LASTING).first() is None:
        _add(connection, spare)
    return connection.execute(select(signing_keys.c.kid).where(is_it)).first() is not None


def _add(connection: Connection, key: SigningKey) -> None:
    is_it = select(signing_keys.c.kid).where(signing_keys.c.kid == key.kid)
    if connection.execute(is_it).first() is None:
        connection.execute(
            insert(signing_keys).values(kid=key.kid, secret=key.secret, created_at=now_us())
        )


def _age(created_at: datetime, now: int) -> timedelta:
    return instant(now) - created_at
