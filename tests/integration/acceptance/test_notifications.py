"""Redis is killed, and people are told of it once, by the engine that is left."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler

import pytest
from standardwebhooks import Webhook

from failsoft.job_engine import JobState
from failsoft.job_engine.jobs.notifications.send_notification import send_notification
from failsoft.job_engine.records.job import JobRecord
from failsoft.testing.engine_suite.stopwatch import Stopwatch
from tests.deployments.deployment import PATIENCE, Deployment
from tests.integration.jobs.receiver import Receiver, receiving
from tests.jobs.scripted import in_thread
from tests.servers.processes import wait_until
from tests.servers.valkey import Valkey

SECRET = f"whsec_{base64.b64encode(b'o' * 32).decode()}"
#: How soon people are told of a failover.
SOON = timedelta(seconds=15)
#: So often the receiver is away at first.
AWAY = 2

pytestmark = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def environment(environment: pytest.MonkeyPatch, receiver: Receiver) -> pytest.MonkeyPatch:
    ops = {"kind": "webhook", "url": receiver.url(), "secret": "ops"}
    rules = [{"on": ["engine.failed_over"], "to": "ops"}]
    given = {"channels": {"ops": ops}, "notify": rules}
    environment.setenv("FAILSOFT_NOTIFY", json.dumps(given))
    environment.setenv("FAILSOFT_WEBHOOK_SECRETS", json.dumps({"ops": SECRET}))
    environment.setenv("FAILSOFT_WEBHOOK_ALLOW_PRIVATE", "true")
    return environment


def notifications(deployment: Deployment) -> list[JobRecord]:
    return list(deployment.app.ledger.list_jobs(name=send_notification.name))


def is_all_told(deployment: Deployment) -> bool:
    """Return whether no notice and no notification is left to send."""
    jobs = notifications(deployment)
    ended = bool(jobs) and all(job.state.is_terminal for job in jobs)
    return ended and not deployment.app.ledger.pending_notices().untold


def test_redis_killed_is_told_once_signed_and_by_the_fallback(
    deployment: Deployment, valkey: Valkey, receiver: Receiver
) -> None:
    deployment.workers("default")

    with Stopwatch() as watch:
        valkey.kill()
        for _ in range(3):
            deployment.dispatch(in_thread, queue="default")
        wait_until(lambda: receiver.taken, PATIENCE, "a notification arrives")
    deployment.wait_for_ends()
    wait_until(lambda: is_all_told(deployment), PATIENCE, "all is told")

    [taken], [job] = receiver.taken, notifications(deployment)
    assert watch.elapsed < SOON
    Webhook(SECRET).verify(taken.body, taken.headers)
    body = json.loads(taken.body)
    assert (body["type"], body["data"]["count"]) == ("failsoft.engine.failed_over", 1)
    assert body["data"]["happenings"][0]["engine"] == "rq"
    assert (job.state, job.engine) == (JobState.SUCCEEDED, "dramatiq")


def test_a_receiver_that_is_away_gets_it_once_afterwards(
    deployment: Deployment, receiver: Receiver
) -> None:
    refused = list[datetime]()

    def refuse_at_first(request: BaseHTTPRequestHandler) -> bool:
        if len(refused) == AWAY:
            return False
        refused.append(datetime.now(UTC))
        request.send_response(503)
        request.send_header("retry-after", "1")
        request.send_header("content-length", "0")
        request.end_headers()
        return True

    receiver.instead = refuse_at_first
    deployment.workers("default")
    deployment.app.ledger.note_switch("rq", "over", {"reason": "a test"})

    def has_ended() -> bool:
        return any(job.state.is_terminal for job in notifications(deployment))

    wait_until(has_ended, PATIENCE, "it was delivered")

    [job] = notifications(deployment)
    assert job.state is JobState.SUCCEEDED
    assert len(receiver.taken) == AWAY + 1
    assert len({each.headers["webhook-id"] for each in receiver.taken}) == 1
