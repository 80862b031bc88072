"""Checks that every process writes to this ledger, and that it holds what was accepted.

A process that writes to a file which is no longer the ledger's, and a message whose job is missing,
are signs of a ledger that was split, replaced or restored (docs/how-to/ledger-sqlite.md).
"""

from contextlib import closing
from dataclasses import dataclass, field

from failsoft.job_engine.clock import SystemClock
from failsoft.job_engine.errors import EngineError, MessageRejectedError
from failsoft.job_engine.policies.queue import declared_queues
from failsoft.job_engine.ports.engine import (
    EngineAdapter,
    ReadableEngineAdapter,
    WaitingMessage,
)
from failsoft.job_engine.records.message import KeyRing
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.database.sqlite.descriptors import Stray, find_strays
from failsoft.ledger.upkeep.missing import find_missing, may_be_pruned
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.engine_sites import sites

#: The remedy where processes hold another file.
REMEDY = "stop these processes, and compare what they accepted with the ledger"
#: The remedy where jobs are missing.
LOST_REMEDY = "dispatch them again, or restore the ledger that has them"


@dataclass(frozen=True, slots=True)
class Lost:
    """A message of this ledger's keys whose job the ledger does not hold."""

    job_id: str
    epoch: int
    engine: str


@dataclass(slots=True)
class Wholeness:
    """What was found.

    Attributes:
        strays: Processes of this host that hold a file which is not the ledger's any more.
        lost: Accepted jobs that the ledger does not hold.
        unexplained: How many more are missing, but may have been pruned.
        unread: The queues that could not be read, and why.
    """

    strays: list[Stray] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    unexplained: int = 0
    unread: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether neither strays nor lost jobs were found."""
        return not (self.strays or self.lost)


def look_at_wholeness(settings: Settings, database: Database) -> Wholeness:
    """Look for processes that hold another file, and for messages whose job is missing.

    Raises:
        LedgerUnavailableError: If the ledger does not answer.
    """
    found = Wholeness()
    if database.file is not None:
        found.strays += find_strays(database.file.path)
    keys = KeyRing(SqlLedger(database).signing_keys, SystemClock(), settings.namespace)
    for plugin, site in sites(settings):
        engine = plugin.build(site)
        with closing(engine.caller):
            try:
                waiting = _waiting(engine.adapter)
                if waiting is None:
                    found.unread.append(f"{site.name}: shows its messages to consumers alone")
                    continue
                ours = [each for each in waiting if _is_signed(keys, each, site.name)]
            except EngineError as error:
                found.unread.append(f"{site.name}: {error}")
            else:
                _compare(found, database, site.name, ours)
    return found


def _waiting(adapter: EngineAdapter) -> list[WaitingMessage] | None:
    """Return the messages of all queues; None if the engine does not show them."""
    if not isinstance(adapter, ReadableEngineAdapter):
        return None
    messages = list[WaitingMessage]()
    for profile in declared_queues().values():
        found = adapter.waiting(profile)
        if found is None:
            return None
        messages += found
    return messages


def _compare(found: Wholeness, database: Database, engine: str, ours: list[WaitingMessage]) -> None:
    # The messages were read before: a job that is recorded meanwhile is not among them.
    missing = find_missing(database, [each.message.job_id for each in ours])
    for each in ours:
        if each.message.job_id not in missing:
            continue
        if may_be_pruned(database, each.made_at):
            found.unexplained += 1
        else:
            found.lost.append(Lost(each.message.job_id, each.message.epoch, engine))


def _is_signed(keys: KeyRing, waiting: WaitingMessage, engine: str) -> bool:
    try:
        keys.verify(waiting.message, engine)
    except MessageRejectedError:
        return False
    return True
