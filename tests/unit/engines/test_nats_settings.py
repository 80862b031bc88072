"""Where NATS is, who signs in, and what is made by default."""

from pathlib import Path

import pytest
import trustme
from pydantic import ValidationError

from failsoft.engines.nats.settings import NatsSettings


def test_several_servers_are_read() -> None:
    settings = NatsSettings(servers="nats://a:4222, tls://b:4222")

    assert settings.client() == {"servers": ["nats://a:4222", "tls://b:4222"]}


def test_an_address_without_a_scheme_is_refused_and_not_shown() -> None:
    with pytest.raises(ValidationError, match="nats://") as caught:
        NatsSettings(servers="user:a-secret@host:4222")

    assert "a-secret" not in caught.value.errors(include_input=False)[0]["msg"]


def test_each_way_to_sign_in_is_handed_on(tmp_path: Path) -> None:
    settings = NatsSettings.model_validate(
        {"user": "u", "password": "p", "token": "t", "credentials": tmp_path, "nkey": tmp_path}
    )

    client = settings.client()

    assert (client["user"], client["password"], client["token"]) == ("u", "p", "t")
    assert client["user_credentials"] == client["nkeys_seed"] == str(tmp_path)


def test_secrets_are_not_shown() -> None:
    settings = NatsSettings.model_validate(
        {"servers": "nats://u:one-secret@h", "password": "other-secret", "token": "third-secret"}
    )

    assert "secret" not in repr(settings)


def test_tls_trusts_the_authority_that_is_named(tmp_path: Path) -> None:
    authority, own = trustme.CA(), tmp_path / "own.pem"
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("client").private_key_and_cert_chain_pem.write_to_path(own)

    settings = NatsSettings(tls_ca=tmp_path / "ca.pem", tls_certificate=own)

    assert len(settings.client()["tls"].get_ca_certs()) > 0


@pytest.mark.parametrize(
    ("servers", "is_local"),
    [
        ("nats://localhost:4222", True),
        ("nats://127.0.0.1:4222,nats://[::1]:4223", True),
        ("nats://localhost:4222,nats://b:4222", False),
        ("tls://b:4222", False),
    ],
)
def test_streams_are_made_by_default_on_this_machine_alone(servers: str, is_local: bool) -> None:
    settings = NatsSettings(servers=servers)

    assert settings.makes_streams is is_local
    assert settings.copies == (1 if is_local else 3)
