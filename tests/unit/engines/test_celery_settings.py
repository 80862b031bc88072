"""Where Celery's broker is, and how RabbitMQ's certificate is checked."""

import ssl
from pathlib import Path

import pytest
from pydantic import ValidationError

from failsoft.engines.celery.settings import CelerySettings


def test_several_nodes_of_a_rabbitmq_are_read() -> None:
    settings = CelerySettings(broker_url="amqp://a:5672//;amqps://b//")

    assert settings.is_rabbitmq
    assert settings.nodes == ["amqp://a:5672//", "amqps://b//"]


@pytest.mark.parametrize("url", ["sqs://", "user:a-secret@host", "amqp://a;user:a-secret@b"])
def test_another_broker_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValidationError, match="amqp://") as caught:
        CelerySettings(broker_url=url)

    assert "a-secret" not in caught.value.errors(include_input=False)[0]["msg"]


def test_a_password_is_not_shown() -> None:
    assert "a-secret" not in repr(CelerySettings(broker_url="redis://:a-secret@host"))


def test_the_certificate_and_the_name_of_a_host_are_checked(tmp_path: Path) -> None:
    settings = CelerySettings(broker_url="amqps://b//", tls_ca=tmp_path / "ca.pem")

    assert settings.tls("b") == {
        "cert_reqs": ssl.CERT_REQUIRED,
        "server_hostname": "b",
        "ca_certs": str(tmp_path / "ca.pem"),
    }


def test_files_for_tls_are_of_rabbitmq_alone(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="ssl_ca_certs"):
        CelerySettings(broker_url="rediss://host", tls_ca=tmp_path)
