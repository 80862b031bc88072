"""The bench of the engine `ledger`: its server is the database, and an offer is a row there."""

import secrets
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import text

from failsoft.dispatcher.plugins.discovery import plugin
from failsoft.dispatcher.plugins.plugin import AnySite
from failsoft.engines.ledger.adapter import LedgerEngine
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import (
    EngineError,
    EngineUnavailableError,
    LedgerUnavailableError,
    MessageRejectedError,
)
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.records.job import Ticket
from failsoft.job_engine.records.message import KeyRing, Message, SigningKey
from failsoft.ledger import Database, SqlLedger
from failsoft.testing import ForeignMessage
from failsoft.testing.engine_suite.bench import new_message
from failsoft.worker.engine_sites import LedgerOffers
from tests.contract.engines.engine_setups import QUEUE, ROOT, PluginBench, Server
from tests.servers.processes import PATIENCE, Process, wait_until

NAME = "ledger"
#: How long one call of the ledger may take, before a dispatch raises that it does not answer.
LIMIT = timedelta(seconds=0.8)
LOCKER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(3600)
"""

_FORGET = text("DELETE FROM failsoft_jobs WHERE id = :id")
_RECORD = text(
    """
    INSERT INTO failsoft_jobs (id, name, queue, state, engine, epoch, payload, payload_sha,
                               events, created_at, pickup_by)
    VALUES (:id, 'bench', :queue, 'offered', 'ledger', :epoch, '{}', '', 1, 1, 1)
    """
)


class LedgerFile:
    """A SQLite file as a server: moved away it is stopped, written to by another it is frozen."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._away = path.parent / "away"
        self._away.mkdir()
        self._locker: Process | None = None

    @property
    def is_running(self) -> bool:
        return self._path.exists()

    def stop(self) -> None:
        self.thaw()
        for each in self._path.parent.glob(f"{self._path.name}*"):
            each.rename(self._away / each.name)

    def start(self) -> None:
        for each in self._away.iterdir():
            each.rename(self._path.parent / each.name)

    def freeze(self) -> None:
        log = self._away.parent / "locker.log"
        log.unlink(missing_ok=True)
        self._locker = Process(sys.executable, "-c", LOCKER, self._path, log=log)
        self._locker.wait_for_output("locked")

    def thaw(self) -> None:
        if self._locker is not None:
            self._locker.kill()
            self._locker = None


class LedgerBench(PluginBench):
    """The offers of a ledger that the test made."""

    foreign = (ForeignMessage(b"?not-the-id-of-a-job"),)

    def __init__(self, server: Server, database: Database) -> None:
        self._url = database.url.render_as_string(hide_password=False)
        # Its calls end before the deadline of an offer has passed.
        self._database = Database(self._url, limit=LIMIT)
        self._ledger = SqlLedger(self._database)
        offers = LedgerOffers()
        offers.bind(self._ledger, SuiteKeys())
        super().__init__(plugin(NAME), server, offers)
        self.engine = RecordingEngine(self.site, self._database)

    def plant(self, message: ForeignMessage) -> None:
        """Offer what no dispatch would: a row whose id is no job's."""
        self._database.write(lambda c: c.execute(_RECORD, _row(f"?{secrets.token_hex(8)}", 1)))

    def stop_server(self) -> None:
        super().stop_server()
        # A process notices within a tenth of a second that its file is gone.
        wait_until(self._is_away, PATIENCE, "the ledger does not answer")

    def process(self, wire: Any, claimed: Callable[[], object] = lambda: None) -> None:
        try:
            Message.from_wire(wire)
        except MessageRejectedError:
            # As a person does who finds it: it would be offered, and rejected, for ever.
            self._database.write(lambda c: c.execute(_FORGET, {"id": wire["job_id"]}))
        super().process(wire, claimed)

    def claim_and_die(self) -> None:
        command = (sys.executable, "-m", "tests.contract.engines.hanging_ledger_worker", self._url)
        with TemporaryDirectory() as folder:
            log = Path(folder) / "worker.log"
            with Process(*command, log=log, cwd=ROOT) as process:
                process.wait_for_output("claimed")

    def close(self) -> None:
        super().close()
        self._database.close()

    def _is_away(self) -> bool:
        try:
            self._ledger.ledger_id()
        except LedgerUnavailableError:
            return True
        return False

    def _claims(self, wire: object) -> bool:
        """Claim as the admission does, which waits for a ledger that is away."""
        while True:
            try:
                return self._ledger.claim(ticket(Message.from_wire(wire))) is not None
            except LedgerUnavailableError:
                if self._stopping.wait(0.1):
                    return False


class RecordingEngine(LedgerEngine):
    """The adapter behind a dispatch, which records what it offers.

    Raises, from every offer: `EngineUnavailableError` where a dispatch would raise that the ledger
    does not answer.
    """

    def __init__(self, site: AnySite, database: Database) -> None:
        super().__init__(site)
        self._database = database

    def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
        self._record([message], queue)
        super().offer(message, queue, deadline)

    def offer_many(
        self, messages: Sequence[Message], queue: QueueProfile, deadline: Deadline
    ) -> Sequence[EngineError | None]:
        self._record(messages, queue)
        return super().offer_many(messages, queue, deadline)

    def _record(self, messages: Sequence[Message], queue: QueueProfile) -> None:
        # One that is offered twice is one row, and rows are written in one order by all.
        each = {message.job_id: message for message in messages}
        rows = [_row(job_id, each[job_id].epoch, queue.name) for job_id in sorted(each)]
        try:
            for statement in (_FORGET, _RECORD) if rows else ():
                self._database.write(lambda c, what=statement: c.execute(what, rows))
        except LedgerUnavailableError as error:
            raise EngineUnavailableError(str(error)) from error


class SuiteKeys(KeyRing):
    """Signs as the suite's own messages are signed."""

    def __init__(self) -> None:
        super().__init__(lambda: [SigningKey.generate()], SystemClock())

    def sign(self, job_id: str, epoch: int, engine: str) -> Message:
        return new_message(job_id, epoch)


def ticket(message: Message) -> Ticket:
    """Return the ticket of a worker that was given a message."""
    job, claim_id = (message.job_id, message.epoch), secrets.token_hex(16)
    return Ticket(*job, NAME, QUEUE.name, claim_id, "bench", timedelta(hours=1))


def _row(job_id: str, epoch: int, queue: str = QUEUE.name) -> dict[str, object]:
    return {"id": job_id, "epoch": epoch, "queue": queue}
