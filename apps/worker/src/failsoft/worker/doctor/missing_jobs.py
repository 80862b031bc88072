"""Is the ledger the one that every process writes to, and does it hold what was accepted?

A process that writes to a file which is no longer the ledger's, and a message whose job is not
there, are signs of a ledger that was split, replaced or restored (docs/ledger-sqlite.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from redis import RedisError

from failsoft.engines.dramatiq.adapter import make_broker
from failsoft.engines.dramatiq.redis import SafeRedisBroker
from failsoft.dispatcher.engines.waiting_messages import (
    Standing,
    standing_in_rq,
    standing_in_valkey,
)
from failsoft.job_engine.clock import SystemClock
from failsoft.job_engine.errors import MessageRejectedError
from failsoft.job_engine.policies.queue import declared_queues
from failsoft.job_engine.records.message import KeyRing
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.database.sqlite.descriptors import Stray, find_strays
from failsoft.ledger.upkeep.missing import find_missing, may_be_pruned
from failsoft.queue import queue_name, rq_queue, shared_client
from failsoft.worker.configuration.settings import Settings

#: Every process that may hold another file has to open the ledger anew.
REMEDY = "stop these processes, and compare what they accepted with the ledger"
#: What the operator can do about jobs that are gone.
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
        unread: What could not be looked at, and why.
    """

    strays: list[Stray] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    unexplained: int = 0
    unread: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Tell whether nothing speaks against it."""
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
    for engine, queues in (("rq", _in_rq), ("dramatiq", _in_dramatiq)):
        if engine not in settings.engines or (engine == "rq" and not settings.use_rq):
            continue
        try:
            ours = [each for each in queues(settings) if _is_signed(keys, each, engine)]
            _compare(found, database, engine, ours)
        except _UnreadableError as error:
            found.unread.append(f"{engine}: {error}")
        except (RedisError, OSError) as error:
            found.unread.append(f"{engine}: {type(error).__name__}")
    return found


class _UnreadableError(Exception):
    """The broker shows nothing without giving it away."""


def _in_rq(settings: Settings) -> Iterator[Standing]:
    client = shared_client(settings.primary_url, "doctor")
    for profile in declared_queues().values():
        yield from standing_in_rq(client, rq_queue(profile, client, settings.namespace).key)


def _in_dramatiq(settings: Settings) -> Iterator[Standing]:
    broker = make_broker(settings.amqp_url, settings.namespace)
    if not isinstance(broker, SafeRedisBroker):
        raise _UnreadableError("RabbitMQ shows its messages to consumers alone")
    for profile in declared_queues().values():
        yield from standing_in_valkey(broker, queue_name(profile, settings.namespace))


def _compare(found: Wholeness, database: Database, engine: str, ours: list[Standing]) -> None:
    # The messages were read before: a job that is made meanwhile is no part of them.
    missing = find_missing(database, [each.message.job_id for each in ours])
    for each in ours:
        if each.message.job_id not in missing:
            continue
        if may_be_pruned(database, each.made_at):
            found.unexplained += 1
        else:
            found.lost.append(Lost(each.message.job_id, each.message.epoch, engine))


def _is_signed(keys: KeyRing, standing: Standing, engine: str) -> bool:
    try:
        keys.verify(standing.message, engine)
    except MessageRejectedError:
        return False
    return True
