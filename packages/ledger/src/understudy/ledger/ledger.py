"""The SQL ledger: the only authority over every job."""

import os
import socket

from understudy.ledger.attempts import SqlAttempts
from understudy.ledger.control import SqlControl
from understudy.ledger.database import Database
from understudy.ledger.engine_switches import SqlEngineSwitches
from understudy.ledger.flow import SqlFlow
from understudy.ledger.keys import SqlKeys
from understudy.ledger.ledger_id import SqlIdentity
from understudy.ledger.mending import SqlMending
from understudy.ledger.offers import SqlOffers
from understudy.ledger.pausing import SqlPauses
from understudy.ledger.reading import SqlReader
from understudy.ledger.recording import SqlRecording
from understudy.ledger.rescue import SqlRescue
from understudy.ledger.retrying import SqlRetrials
from understudy.ledger.schedules import SqlSchedules
from understudy.ledger.waiting import SqlWaiting
from understudy.ledger.waits import SqlWaits
from understudy.ledger.within import SqlTransactional
from understudy.ledger.workers import SqlWorkers


class SqlLedger(
    SqlAttempts,
    SqlRecording,
    SqlWaits,
    SqlTransactional,
    SqlOffers,
    SqlWaiting,
    SqlRescue,
    SqlMending,
    SqlControl,
    SqlReader,
    SqlWorkers,
    SqlSchedules,
    SqlFlow,
    SqlRetrials,
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
        """Work on a database whose schema fits; see `understudy.ledger.schema`.

        Args:
            database: The ledger's database.
            actor: Who the events name; `<host>:<pid>` where None.
        """
        self.database = database
        self._database = database
        self._actor = actor or f"{socket.gethostname()}:{os.getpid()}"
