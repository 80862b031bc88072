import base64
import ssl
from collections.abc import Iterator, Sequence
from datetime import timedelta
from http.server import BaseHTTPRequestHandler

import pytest
import trustme
from pydantic import SecretStr
from standardwebhooks import Webhook as Verifier

from failsoft.job_engine.clock import SystemClock
from failsoft.job_engine.errors import NonRetryableError, RetryAfterError
from failsoft.job_engine.jobs.default.deliver_webhook import DeliverWebhook, Webhook
from failsoft.job_engine.jobs.default.webhook_settings import MAX_REPLY_BYTES, WebhookSettings
from failsoft.job_engine.jobs.http_replies import PeerUnavailableError
from failsoft.job_engine.jobs.public_http import ForbiddenAddressError, PublicTransport
from tests.integration.jobs.receiver import Receiver, receiving
from tests.unit.job_engine.jobs.fakes import Job

OLD = f"whsec_{base64.b64encode(b'o' * 24).decode()}"
NEW = f"whsec_{base64.b64encode(b'n' * 24).decode()}"
SETTINGS = WebhookSettings(
    secrets={"main": SecretStr(f"{NEW} {OLD}")},
    allow_private=True,
    timeout=timedelta(seconds=0.5),
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def job() -> Job:
    return Job(clock=SystemClock())


def event(url: str) -> Webhook:
    return Webhook(url=url, type="invoice.paid", data={"id": 7, "für": "Zoë"}, secret_name="main")


def deliver(url: str, settings: WebhookSettings = SETTINGS) -> int:
    return job().attempt(DeliverWebhook(settings, SystemClock()), event(url)).status


def loopback(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


@pytest.mark.parametrize("held", [OLD, NEW])
def test_a_receiver_verifies_the_webhook_with_either_secret_of_a_rotation(
    receiver: Receiver, held: str
) -> None:
    assert deliver(receiver.url()) == 200

    [taken] = receiver.taken
    verified = Verifier(held).verify(taken.body, taken.headers)
    assert verified == {"type": "invoice.paid", "data": {"id": 7, "für": "Zoë"}}


def test_the_receiver_sees_no_broken_connection(receiver: Receiver) -> None:
    receiver.body = b"x" * MAX_REPLY_BYTES

    deliver(receiver.url())
    deliver(receiver.url())

    assert len(receiver.taken) == 2
    assert receiver.errors == []


def test_a_reply_without_an_end_is_cut_off(receiver: Receiver) -> None:
    def talk_for_ever(request: BaseHTTPRequestHandler) -> bool:
        request.send_response(200)
        request.end_headers()
        while True:
            request.wfile.write(b"x" * MAX_REPLY_BYTES)

    receiver.instead = talk_for_ever

    assert deliver(receiver.url()) == 200


def test_a_loopback_receiver_is_refused_and_gets_nothing(receiver: Receiver) -> None:
    with pytest.raises(ForbiddenAddressError, match=r"127\.0\.0\.1"):
        deliver(receiver.url(), WebhookSettings(secrets=SETTINGS.secrets))

    assert receiver.taken == []


def test_a_name_that_leads_to_loopback_is_refused_too(receiver: Receiver) -> None:
    with pytest.raises(ForbiddenAddressError):
        deliver(receiver.url(host="localhost"), WebhookSettings(secrets=SETTINGS.secrets))

    assert receiver.taken == []


def test_a_redirect_to_a_second_receiver_is_not_followed(receiver: Receiver) -> None:
    with receiving() as second:
        receiver.status, receiver.headers = 302, {"location": second.url()}

        with pytest.raises(NonRetryableError, match="302 Found"):
            deliver(receiver.url())

        assert second.taken == []


def test_a_busy_receiver_is_left_alone_as_long_as_it_asks(receiver: Receiver) -> None:
    receiver.status, receiver.headers = 503, {"retry-after": "7"}

    with pytest.raises(RetryAfterError) as raised:
        deliver(receiver.url())

    assert raised.value.delay == timedelta(seconds=7)


def test_a_receiver_that_is_gone_is_tried_again() -> None:
    with receiving() as gone:
        url = gone.url()

    with pytest.raises(PeerUnavailableError, match="ConnectError"):
        deliver(url)


def test_a_receiver_that_says_nothing_is_tried_again(receiver: Receiver) -> None:
    def wait_for_the_end(request: BaseHTTPRequestHandler) -> bool:
        return request.rfile.read(1) == b""

    receiver.instead = wait_for_the_end

    with pytest.raises(PeerUnavailableError, match="ReadTimeout"):
        deliver(receiver.url())


def test_a_receiver_that_hangs_up_is_tried_again(receiver: Receiver) -> None:
    receiver.instead = lambda request: True

    with pytest.raises(PeerUnavailableError, match="RemoteProtocolError"):
        deliver(receiver.url())


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_receiver(authority: trustme.CA) -> Iterator[Receiver]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hooks.example.com").configure_cert(context)
    with receiving(context) as found:
        yield found


def deliver_by_tls(receiver: Receiver, authority: trustme.CA, host: str) -> int:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    transport = PublicTransport(allow_private=True, resolver=loopback, verify=trusting)
    handler = DeliverWebhook(SETTINGS, SystemClock(), transport)
    return job().attempt(handler, event(receiver.url(scheme="https", host=host))).status


def test_tls_proves_the_host_of_the_url_and_not_the_address(
    tls_receiver: Receiver, authority: trustme.CA
) -> None:
    assert deliver_by_tls(tls_receiver, authority, "hooks.example.com") == 200

    [taken] = tls_receiver.taken
    assert taken.headers["host"] == f"hooks.example.com:{tls_receiver.port}"


def test_a_certificate_of_another_host_is_not_accepted(
    tls_receiver: Receiver, authority: trustme.CA
) -> None:
    with pytest.raises(PeerUnavailableError, match="certificate"):
        deliver_by_tls(tls_receiver, authority, "other.example.com")

    assert tls_receiver.taken == []


def test_one_host_is_never_reached_over_the_connection_of_another(
    tls_receiver: Receiver, authority: trustme.CA
) -> None:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    transport = PublicTransport(allow_private=True, resolver=loopback, verify=trusting)
    handler = DeliverWebhook(SETTINGS, SystemClock(), transport)

    proved = tls_receiver.url(scheme="https", host="hooks.example.com")
    assert job().attempt(handler, event(proved)).status == 200
    with pytest.raises(PeerUnavailableError, match="certificate"):
        job().attempt(handler, event(tls_receiver.url(scheme="https", host="other.example.com")))

    assert len(tls_receiver.taken) == 1
