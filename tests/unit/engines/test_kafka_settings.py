"""What of librdkafka's configuration may be set, and what is made by default."""

import pytest
from pydantic import ValidationError

from failsoft.engines.kafka.settings import KafkaSettings

SASL = '{"security.protocol": "sasl_ssl", "sasl.username": "u", "sasl.password": "secret"}'


def test_tls_and_sasl_are_read_from_json() -> None:
    settings = KafkaSettings.model_validate({"servers": "kafka:9092", "config": SASL})

    client = settings.client(acks="all")

    assert client["bootstrap.servers"] == "kafka:9092"
    assert client["sasl.password"] == "secret"
    assert client["acks"] == "all"


@pytest.mark.parametrize(
    "name",
    [
        "plugin.library.paths",
        "ssl.engine.location",
        "ssl.providers",
        "sasl.kerberos.kinit.cmd",
        "bootstrap.servers",
        "acks",
        "enable.auto.commit",
        "message.timeout.ms",
    ],
)
def test_what_loads_code_or_changes_a_promise_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=name) as caught:
        KafkaSettings.model_validate({"config": {name: "a-secret"}})

    assert "a-secret" not in caught.value.errors(include_input=False)[0]["msg"]


def test_a_configuration_that_is_no_json_is_refused() -> None:
    with pytest.raises(ValidationError, match="expected a JSON object"):
        KafkaSettings.model_validate({"config": "sasl.username=u"})


def test_secrets_are_not_shown() -> None:
    assert "secret" not in repr(KafkaSettings.model_validate({"config": SASL}))


@pytest.mark.parametrize(
    ("servers", "is_local"),
    [
        ("localhost:9092", True),
        ("127.0.0.1:9092,[::1]:9093", True),
        ("localhost:9092,kafka:9092", False),
        ("kafka:9092", False),
    ],
)
def test_topics_are_made_by_default_on_this_machine_alone(servers: str, is_local: bool) -> None:
    settings = KafkaSettings(servers=servers)

    assert settings.makes_topics is is_local
    assert settings.copies == (1 if is_local else 3)


def test_what_is_set_beats_what_the_servers_suggest() -> None:
    settings = KafkaSettings(servers="localhost:9092", create_topics=False, replicas=2)

    assert (settings.makes_topics, settings.copies) == (False, 2)
