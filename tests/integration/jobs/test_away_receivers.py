"""A notification whose receiver is down for two minutes arrives once afterwards."""

import base64
import socket
from datetime import timedelta
from http.server import BaseHTTPRequestHandler

from pydantic import SecretStr
from standardwebhooks import Webhook as Verifier

from failsoft.dispatcher.maintenance.notifier import Notifier
from failsoft.job_engine import Catalogue, Executor, JobState
from failsoft.job_engine.attempt.lease import Lease
from failsoft.job_engine.clock import SystemClock
from failsoft.job_engine.jobs.default.deliver_webhook import DeliverWebhook
from failsoft.job_engine.jobs.default.send_email import SendEmail
from failsoft.job_engine.jobs.default.webhook_settings import WebhookSettings
from failsoft.job_engine.jobs.notifications.channels import CHANNELS
from failsoft.job_engine.jobs.notifications.send_notification import (
    SendNotification,
    send_notification,
)
from failsoft.job_engine.policies.notifications import NotifyRule
from failsoft.job_engine.telemetry import ignore
from failsoft.testing import FrozenClock, MemoryLedger
from failsoft.testing.ledger_suite.fixtures import claimed, plan
from failsoft.worker.notifications import Telegraph
from tests.integration.jobs.receiver import receiving

SECRET = f"whsec_{base64.b64encode(b's' * 24).decode()}"
SETTINGS = WebhookSettings(secrets={"main": SecretStr(SECRET)}, allow_private=True)
DOWN, SECOND, LONG_AFTER = timedelta(minutes=2), timedelta(seconds=1), timedelta(minutes=10)


class Desk:
    """A ledger, whose time a test lets pass, and the worker that sends what is told."""

    def __init__(self, url: str) -> None:
        self.clock = FrozenClock()
        self.ledger = MemoryLedger(self.clock)
        ops = CHANNELS["webhook"].model_validate({"kind": "webhook", "url": url, "secret": "main"})
        # The receiver checks the age of a signature by the real time.
        webhooks = DeliverWebhook(SETTINGS, SystemClock())
        handler = SendNotification({"ops": ops}, lambda: webhooks, no_mail)
        catalogue = Catalogue([send_notification.bind(handler)])
        self.executor = Executor(self.ledger, catalogue, self.clock)

    def tell(self) -> str:
        """Have a failover told; return the job that tells it."""
        self.ledger.note_switch("rq", "over", {"reason": "refused"})
        rules = [NotifyRule(("*",), "ops")]
        Notifier(self.ledger, rules, Telegraph(self.clock), listener=ignore).tick()
        [job] = self.ledger.list_jobs(name=send_notification.name)
        return job.id

    def work(self, span: timedelta) -> None:
        """Run what is due, and go on until a time has passed."""
        until = self.clock.now() + span
        while self.clock.now() < until:
            for job in self.ledger.due(10):
                moved = self.ledger.offer(job, plan())
                assert moved is not None
                self.executor.run(claimed(self.ledger, moved), Lease())
            self.clock.advance(SECOND)


def no_mail() -> SendEmail:
    raise AssertionError("expected a webhook, got a mail")


def test_a_receiver_that_is_down_for_two_minutes_gets_it_once_afterwards() -> None:
    with receiving() as receiver:
        desk = Desk(receiver.url())
        up_at = desk.clock.now() + DOWN
        broken = list[BaseHTTPRequestHandler]()

        def break_off(request: BaseHTTPRequestHandler) -> bool:
            if desk.clock.now() >= up_at:
                return False
            broken.append(request)
            request.close_connection = True
            request.connection.shutdown(socket.SHUT_RDWR)
            return True

        receiver.instead = break_off
        told = desk.tell()
        desk.work(LONG_AFTER)

    assert desk.ledger.get(told).state is JobState.SUCCEEDED
    assert len(broken) > 1
    assert len(receiver.taken) == len(broken) + 1
    assert len({each.headers["webhook-id"] for each in receiver.taken}) == 1
    Verifier(SECRET).verify(receiver.taken[-1].body, receiver.taken[-1].headers)
