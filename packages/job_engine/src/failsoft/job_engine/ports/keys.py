"""Where the signing keys live: the port."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from failsoft.job_engine.records.job import KeyRecord
from failsoft.job_engine.records.message import SigningKey


class KeyLedger(Protocol):
    """Where the signing keys live."""

    def signing_keys(self) -> Sequence[SigningKey]:
        """Return the keys that are valid, the one to sign with first.

        It is the newest of those that are older than `ACTIVATION`; where there is none, it is the
        oldest of all, which the most processes know.
        """
        ...

    def key_records(self) -> Sequence[KeyRecord]:
        """Return what is known of the valid keys but their secrets, in the same order."""
        ...

    def rotate_keys(self, overlap: timedelta) -> str:
        """Add a key and let every other one end; keys that have ended are deleted.

        Args:
            overlap: How long the others are accepted after the new one has begun to sign.

        Returns:
            The id of the new key.
        """
        ...

    def revoke_key(self, kid: str) -> bool:
        """End a key at once; make another one where none would be left to sign for good.

        Returns:
            Whether there is such a key.
        """
        ...

    def forget_ended_keys(self) -> int:
        """Delete the keys that are no longer accepted; return how many."""
        ...
