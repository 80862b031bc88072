"""A web application that records a job when it is loaded, and one for each request."""

import json
import os
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from failsoft.ledger import Database, SqlLedger
from tests.faults.postgresql.lost_replies import LedgerCalls

database = Database(os.environ["FAILSOFT_LEDGER_URL"])
ledger = SqlLedger(database)
LedgerCalls(ledger, "of-the-master").record()


def application(environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
    job_id = uuid.uuid4().hex
    assert LedgerCalls(ledger, job_id).record()
    start("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"job_id": job_id, "pid": os.getpid()}).encode()]
