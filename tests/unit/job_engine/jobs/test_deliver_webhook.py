import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from failsoft.job_engine import NonRetryableError, RetryAfterError
from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.jobs.default.deliver_webhook import (
    PAUSES,
    DeliverWebhook,
    Webhook,
    deliver_webhook,
)
from failsoft.job_engine.jobs.default.webhook_settings import WebhookSettings
from failsoft.job_engine.jobs.http_replies import PeerUnavailableError
from failsoft.job_engine.values.codec import MAX_PAYLOAD_BYTES, encode_payload
from failsoft.testing import FrozenClock
from tests.unit.job_engine.jobs.fakes import JOB_ID, Crashed, Job

URL = "https://hooks.example.com/in?token=hush"
SECRET = f"whsec_{base64.b64encode(b's' * 24).decode()}"


class Receiver:
    """Takes webhooks in memory; answers in turn, and 204 when nothing else is said."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.taken: list[httpx.Request] = []
        self._answers = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.taken.append(request)
        answer = self._answers.pop(0) if self._answers else httpx.Response(204)
        if isinstance(answer, Exception):
            raise answer
        return answer


def handler(job: Job, receiver: Callable[[httpx.Request], httpx.Response]) -> DeliverWebhook:
    settings = WebhookSettings(secrets={"main": SecretStr(SECRET)})
    return DeliverWebhook(settings, job.clock, httpx.MockTransport(receiver))


def webhook(**changes: Any) -> Webhook:
    return Webhook(**{"url": URL, "type": "invoice.paid", "data": {"id": 7}} | changes)


def test_the_receiver_gets_the_event_as_the_specification_has_it() -> None:
    job, receiver = Job(), Receiver()
    event = webhook(occurred_at=datetime(2025, 12, 31, tzinfo=UTC), data={"name": "Zoë"})

    job.attempt(handler(job, receiver), event)

    [taken] = receiver.taken
    assert (taken.method, str(taken.url)) == ("POST", URL)
    assert taken.headers["content-type"] == "application/json"
    assert json.loads(taken.content) == {
        "type": "invoice.paid",
        "timestamp": "2025-12-31T00:00:00+00:00",
        "data": {"name": "Zoë"},
    }


def test_an_event_whose_time_is_unknown_names_none() -> None:
    job, receiver = Job(), Receiver()

    job.attempt(handler(job, receiver), webhook())

    assert receiver.taken[0].content == b'{"type":"invoice.paid","data":{"id":7}}'


def test_the_result_is_the_status_and_the_time_it_took() -> None:
    job = Job()

    def slow(request: httpx.Request) -> httpx.Response:
        job.clock.sleep(0.25)
        return httpx.Response(202, text="a long story")

    delivery = job.attempt(handler(job, slow), webhook())

    assert (delivery.status, delivery.elapsed) == (202, timedelta(seconds=0.25))
    assert "story" not in job.ledger.steps[0].result


def test_every_attempt_sends_the_same_id_and_its_own_time() -> None:
    job, receiver = Job(), Receiver(httpx.Response(503), httpx.Response(200))
    deliver = handler(job, receiver)

    with pytest.raises(PeerUnavailableError):
        job.attempt(deliver, webhook(secret_name="main"))
    job.clock.sleep(60)
    job.attempt(deliver, webhook(secret_name="main"))

    first, second = (request.headers for request in receiver.taken)
    assert first["webhook-id"] == second["webhook-id"] == f"{JOB_ID}:deliver"
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 60
    assert first["webhook-signature"] != second["webhook-signature"]


def test_a_delivery_that_is_recorded_is_not_made_again() -> None:
    job, receiver = Job(), Receiver(httpx.Response(201))
    deliver = handler(job, receiver)

    first = job.attempt(deliver, webhook())
    second = job.attempt(deliver, webhook())

    assert first == second
    assert len(receiver.taken) == 1


def test_a_delivery_that_was_cut_off_is_made_again_under_its_id() -> None:
    job, receiver = Job(), Receiver()
    job.ledger.crash_before_recording = "deliver"
    deliver = handler(job, receiver)

    with pytest.raises(Crashed):
        job.attempt(deliver, webhook())
    job.attempt(deliver, webhook())

    assert len({request.headers["webhook-id"] for request in receiver.taken}) == 1


def test_without_a_secret_the_event_is_sent_unsigned() -> None:
    job, receiver = Job(), Receiver()

    job.attempt(handler(job, receiver), webhook())

    assert "webhook-signature" not in receiver.taken[0].headers
    assert receiver.taken[0].headers["webhook-id"]


def test_a_secret_that_is_not_configured_sends_nothing_and_names_the_known_ones() -> None:
    job, receiver = Job(), Receiver()

    with pytest.raises(ConfigurationError, match=r"\(main\), got 'mian'"):
        job.attempt(handler(job, receiver), webhook(secret_name="mian"))

    assert receiver.taken == []


def test_a_malformed_secret_is_refused_at_boot() -> None:
    settings = WebhookSettings(secrets={"main": SecretStr("hunter2")})

    with pytest.raises(ConfigurationError, match="'main'"):
        DeliverWebhook(settings, FrozenClock())


def test_further_headers_are_sent() -> None:
    job, receiver = Job(), Receiver()

    job.attempt(handler(job, receiver), webhook(headers={"X-Tenant": "a b"}))

    assert receiver.taken[0].headers["x-tenant"] == "a b"


@pytest.mark.parametrize("location", ["https://hooks.example.com/", "http://169.254.169.254/"])
def test_a_redirect_is_not_followed_and_not_tried_again(location: str) -> None:
    job = Job()
    receiver = Receiver(httpx.Response(307, headers={"location": location}))

    with pytest.raises(NonRetryableError, match="307"):
        job.attempt(handler(job, receiver), webhook())

    assert len(receiver.taken) == 1


def test_a_receiver_that_requests_time_gets_it() -> None:
    job = Job()
    receiver = Receiver(httpx.Response(429, headers={"retry-after": "90"}))

    with pytest.raises(RetryAfterError) as raised:
        job.attempt(handler(job, receiver), webhook())

    assert raised.value.delay == timedelta(seconds=90)


def test_a_receiver_that_does_not_answer_is_tried_again() -> None:
    job, receiver = Job(), Receiver(httpx.ReadTimeout("timed out"))

    with pytest.raises(PeerUnavailableError, match="ReadTimeout") as raised:
        job.attempt(handler(job, receiver), webhook())

    assert "hush" not in str(raised.value)


def test_a_reply_that_breaks_off_after_its_status_counts() -> None:
    def breaking(request: httpx.Request) -> httpx.Response:
        def body() -> Any:
            yield b"x"
            raise httpx.ReadError("gone")

        return httpx.Response(200, content=body())

    job = Job()

    assert job.attempt(handler(job, breaking), webhook()).status == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "ftp://hooks.example.com/"},
        {"url": "file:///etc/passwd"},
        {"url": "https://user:pw@hooks.example.com/"},
        {"url": "hooks.example.com"},
        {"type": ""},
        {"type": "a..b"},
        {"type": "a b"},
        {"headers": {"Host": "internal"}},
        {"headers": {"content-length": "0"}},
        {"headers": {"Transfer-Encoding": "chunked"}},
        {"headers": {"Webhook-Signature": "v1,x"}},
        {"headers": {"X-A": "1\r\nX-B: 2"}},
        {"headers": {"X-A": "1\n"}},
        {"headers": {"X-A\r\nX-B": "1"}},
        {"headers": {"X A": "1"}},
        {"headers": {"X-A": "ä"}},
        {"occurred_at": "2026-01-01T00:00:00"},
        {"retries": 5},
    ],
)
def test_a_payload_that_could_do_harm_is_refused_before_it_is_stored(changes: Any) -> None:
    with pytest.raises(ValidationError):
        webhook(**changes)


def test_the_payload_survives_the_ledger() -> None:
    event = webhook(headers={"X-A": "1"}, occurred_at=datetime(2026, 1, 1, tzinfo=UTC))

    stored = encode_payload(event, Webhook, MAX_PAYLOAD_BYTES)

    assert deliver_webhook.decode(stored) == event


def test_the_job_tries_for_three_days_as_the_specification_suggests() -> None:
    policy = deliver_webhook.retry

    waits = [policy.delay(n, PeerUnavailableError()) for n in range(1, len(PAUSES) + 2)]

    assert waits[-1] is None
    for wait, pause in zip(waits, PAUSES, strict=False):
        assert wait is not None
        assert pause <= wait <= pause * 1.1


def test_the_handler_fits_its_declaration() -> None:
    assert deliver_webhook.bind(handler(Job(), Receiver())).handler is not None
    assert deliver_webhook.queue.name == "default"
