import base64
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.jobs.standard_webhooks import headers, signing_keys

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = f"whsec_{base64.b64encode(b'o' * 32).decode()}"
BODY = b'{"test": 2432232314}'


def sign(secrets: str, moment: datetime | None = None) -> dict[str, str]:
    keys = signing_keys("main", SecretStr(secrets))
    return dict(headers("msg_p5jXN8AQM9LWM0D4loKWxJek", moment or datetime.now(UTC), BODY, keys))


def test_the_signature_is_that_of_the_reference_implementations() -> None:
    signed = sign(SECRET, datetime.fromtimestamp(1614265330, UTC))

    assert signed == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_receiver_with_the_secret_verifies_it() -> None:
    assert Webhook(SECRET).verify(BODY, sign(SECRET)) == {"test": 2432232314}


def test_a_receiver_with_another_secret_does_not() -> None:
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(BODY, sign(SECRET))


@pytest.mark.parametrize("held", [SECRET, OTHER])
def test_during_a_rotation_the_old_and_the_new_secret_both_verify(held: str) -> None:
    signed = sign(f"{OTHER} {SECRET}")

    assert Webhook(held).verify(BODY, signed)
    assert len(signed["webhook-signature"].split()) == 2


def test_without_a_key_there_is_no_signature() -> None:
    assert headers("id", datetime.fromtimestamp(5, UTC), BODY, ()) == {
        "webhook-id": "id",
        "webhook-timestamp": "5",
    }


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "hunter2",
        SECRET.removeprefix("whsec_"),
        "whsec_",
        "whsec_not*base64",
        f"whsec_{base64.b64encode(b'k' * 23).decode()}",
        f"whsec_{base64.b64encode(b'k' * 65).decode()}",
        f"{SECRET} hunter2",
    ],
)
def test_a_secret_that_is_not_as_specified_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="'main'") as raised:
        signing_keys("main", SecretStr(secret))

    assert "hunter2" not in str(raised.value)
