"""The SQL ledger: the only authority over every job."""

import os
import socket

from failsoft.ledger.database.database import Database
from failsoft.ledger.ledger_id import SqlIdentity
from failsoft.ledger.roles.attempts import SqlAttempts
from failsoft.ledger.roles.caller_transaction import SqlTransactional
from failsoft.ledger.roles.console.activity import SqlActivity
from failsoft.ledger.roles.console.bulks import SqlBulkActions
from failsoft.ledger.roles.console.standing import SqlStanding
from failsoft.ledger.roles.console.stories import SqlJobStories
from failsoft.ledger.roles.dispatch import SqlRecording
from failsoft.ledger.roles.engine_switches import SqlEngineSwitches
from failsoft.ledger.roles.flow import SqlFlow
from failsoft.ledger.roles.keys import SqlKeys
from failsoft.ledger.roles.measures import SqlMeasures
from failsoft.ledger.roles.offered import SqlOffered
from failsoft.ledger.roles.offers import SqlOffers
from failsoft.ledger.roles.pauses import SqlPauses
from failsoft.ledger.roles.reader import SqlReader
from failsoft.ledger.roles.resolutions import SqlControl
from failsoft.ledger.roles.retries import SqlManualRetries
from failsoft.ledger.roles.routes import SqlRoutes
from failsoft.ledger.roles.traces import SqlTraces
from failsoft.ledger.roles.waits import SqlWaits
from failsoft.ledger.upkeep.clock_repair import SqlMending
from failsoft.ledger.upkeep.expiry import SqlExpiry
from failsoft.ledger.upkeep.hand_over import SqlHandOver
from failsoft.ledger.upkeep.notices import SqlNotices
from failsoft.ledger.upkeep.outbox import SqlOutbox
from failsoft.ledger.upkeep.rescue import SqlRescue
from failsoft.ledger.upkeep.schedules import SqlSchedules
from failsoft.ledger.upkeep.workers import SqlWorkers


class SqlLedger(
    SqlAttempts,
    SqlRecording,
    SqlWaits,
    SqlTransactional,
    SqlOffers,
    SqlOffered,
    SqlExpiry,
    SqlRescue,
    SqlHandOver,
    SqlMending,
    SqlControl,
    SqlReader,
    SqlWorkers,
    SqlSchedules,
    SqlFlow,
    SqlManualRetries,
    SqlPauses,
    SqlEngineSwitches,
    SqlRoutes,
    SqlKeys,
    SqlOutbox,
    SqlMeasures,
    SqlTraces,
    SqlActivity,
    SqlStanding,
    SqlJobStories,
    SqlBulkActions,
    SqlNotices,
    SqlIdentity,
):
    """Every role of the ledger on one database, SQLite or PostgreSQL.

    Attributes:
        database: The database it works on.
    """

    def __init__(self, database: Database, actor: str | None = None) -> None:
        """Work on a database whose schema fits; see `failsoft.ledger.schema.revision`.

        Args:
            database: The ledger's database.
            actor: What the events name as their cause; `<host>:<pid>` where None.
        """
        self.database = database
        self._database = database
        self._actor = actor or f"{socket.gethostname()}:{os.getpid()}"
