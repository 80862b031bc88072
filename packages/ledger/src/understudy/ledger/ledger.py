"""The SQL ledger: the only authority over every job."""

import os
import socket

from understudy.ledger.database.database import Database
from understudy.ledger.ledger_id import SqlIdentity
from understudy.ledger.roles.attempts import SqlAttempts
from understudy.ledger.roles.caller_transaction import SqlTransactional
from understudy.ledger.roles.dispatch import SqlRecording
from understudy.ledger.roles.engine_switches import SqlEngineSwitches
from understudy.ledger.roles.flow import SqlFlow
from understudy.ledger.roles.keys import SqlKeys
from understudy.ledger.roles.offers import SqlOffers
from understudy.ledger.roles.pauses import SqlPauses
from understudy.ledger.roles.reader import SqlReader
from understudy.ledger.roles.resolutions import SqlControl
from understudy.ledger.roles.retries import SqlManualRetries
from understudy.ledger.roles.waits import SqlWaits
from understudy.ledger.upkeep.clock_repair import SqlMending
from understudy.ledger.upkeep.expiry import SqlExpiry
from understudy.ledger.upkeep.rescue import SqlRescue
from understudy.ledger.upkeep.schedules import SqlSchedules
from understudy.ledger.upkeep.workers import SqlWorkers


class SqlLedger(
    SqlAttempts,
    SqlRecording,
    SqlWaits,
    SqlTransactional,
    SqlOffers,
    SqlExpiry,
    SqlRescue,
    SqlMending,
    SqlControl,
    SqlReader,
    SqlWorkers,
    SqlSchedules,
    SqlFlow,
    SqlManualRetries,
    SqlPauses,
    SqlEngineSwitches,
    SqlKeys,
    SqlIdentity,
):
    """Every role of the ledger on one database, SQLite or PostgreSQL.

    Attributes:
        database: The database it works on.
    """

    def __init__(self, database: Database, actor: str | None = None) -> None:
        """Work on a database whose schema fits; see `understudy.ledger.schema.revision`.

        Args:
            database: The ledger's database.
            actor: Who the events name; `<host>:<pid>` where None.
        """
        self.database = database
        self._database = database
        self._actor = actor or f"{socket.gethostname()}:{os.getpid()}"
