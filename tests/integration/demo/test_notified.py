"""The demo with a channel in its caller's settings: its failover is told once, by the fallback."""

import base64
import json
import sys
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from standardwebhooks import Webhook

from failsoft.job_engine.jobs.notifications.send_notification import send_notification
from failsoft.ledger import Database, SqlLedger
from tests.integration.jobs.receiver import receiving
from tests.servers.processes import PATIENCE, Processes

#: How soon people are told.
SOON = timedelta(seconds=15)
SECRET = f"whsec_{base64.b64encode(b'o' * 32).decode()}"


@pytest.mark.long
def test_the_failover_of_the_demo_is_told_once_signed_and_by_the_fallback(
    processes: Processes,
) -> None:
    with receiving() as receiver, TemporaryDirectory(prefix="demo-") as folder:
        engines, arrivals = list[str | None](), list[datetime]()

        def note_engine(request: BaseHTTPRequestHandler) -> bool:
            arrivals.append(datetime.now(UTC))
            [path] = Path(folder).glob("*/ledger.db")
            database = Database(f"sqlite:///{path}")
            jobs = SqlLedger(database).list_jobs(name=send_notification.name)
            engines.extend(job.engine for job in jobs)
            database.close()
            return False

        receiver.instead = note_engine
        ops = {"kind": "webhook", "url": receiver.url(), "secret": "ops"}
        rules = [{"on": ["engine.failed_over"], "to": "ops"}]
        env = {
            "TMPDIR": folder,
            "FAILSOFT_NOTIFY": json.dumps({"channels": {"ops": ops}, "notify": rules}),
            "FAILSOFT_WEBHOOK_SECRETS": json.dumps({"ops": SECRET}),
        }
        command = (Path(sys.executable).with_name("failsoft"), "demo", "--jobs", "40")
        demo = processes.start(*command, "--seed", "3", "--json", env=env)
        status = demo.wait(2 * PATIENCE)

    assert status == 0, demo.tail
    [taken] = receiver.taken
    Webhook(SECRET).verify(taken.body, taken.headers)
    body = json.loads(taken.body)
    assert (body["type"], body["data"]["count"]) == ("failsoft.engine.failed_over", 1)
    happening = body["data"]["happenings"][0]
    assert (happening["engine"], engines) == ("rq", ["dramatiq"])
    # From the notice in the ledger to the receiver: what is promised, and many times what it takes.
    assert arrivals[0] - datetime.fromisoformat(happening["at"]) < SOON
    assert json.loads(demo.output.splitlines()[-1])["dispatched"] == 41
