"""The signing keys of `MemoryLedger`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from failsoft.job_engine.clock import Clock
from failsoft.job_engine.records.job import KeyRecord
from failsoft.job_engine.records.message import ACTIVATION, SigningKey


@dataclass(slots=True)
class _Kept:
    key: SigningKey
    created_at: datetime
    ends_at: datetime | None = None


class MemoryKeys:
    """`KeyLedger` in a list; the caller holds the lock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept = [_Kept(SigningKey.generate(), clock.now() - ACTIVATION)]

    def signing(self) -> Sequence[SigningKey]:
        """Return the valid keys, the one to sign with first."""
        return [each.key for each in self._valid()]

    def records(self) -> Sequence[KeyRecord]:
        """Return the valid keys without their secrets."""
        now = self._clock.now()
        return [
            KeyRecord(each.key.kid, each.created_at, each.ends_at, now - each.created_at)
            for each in self._valid()
        ]

    def rotate(self, overlap: timedelta) -> str:
        """Add a key and let every other one end."""
        self.forget()
        for each in self._kept:
            each.ends_at = each.ends_at or self._clock.now() + ACTIVATION + overlap
        return self._add()

    def revoke(self, kid: str) -> bool:
        """End a key at once."""
        found = [each for each in self._kept if each.key.kid == kid]
        for each in found:
            each.ends_at = min(each.ends_at or self._clock.now(), self._clock.now())
        if all(each.ends_at for each in self._kept):
            self._add()
        return bool(found)

    def forget(self) -> int:
        """Delete the keys that have ended."""
        before = len(self._kept)
        self._kept = [each for each in self._kept if self._is_valid(each)]
        return before - len(self._kept)

    def _add(self) -> str:
        key = SigningKey.generate()
        self._kept.append(_Kept(key, self._clock.now()))
        return key.kid

    def _valid(self) -> Sequence[_Kept]:
        # Of two of the same moment the one that was added later comes first.
        latest = reversed(self._kept)
        newest_first = sorted(latest, key=lambda each: each.created_at, reverse=True)
        valid = [each for each in newest_first if self._is_valid(each)]
        young = [each for each in valid if self._is_young(each)]
        return [*(each for each in valid if each not in young), *reversed(young)]

    def _is_valid(self, kept: _Kept) -> bool:
        return kept.ends_at is None or kept.ends_at > self._clock.now()

    def _is_young(self, kept: _Kept) -> bool:
        return kept.created_at > self._clock.now() - ACTIVATION
