"""What Kafka's errors say about an offer: nothing that may have been appended is called refused."""

import pytest
from confluent_kafka import KafkaError

from failsoft.engine_api import (
    EngineError,
    EngineRefusedError,
    EngineUnavailableError,
    OfferRefusedError,
    OfferUncertainError,
)
from failsoft.engines.kafka.errors import lookup_error, offer_error


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("TOPIC_AUTHORIZATION_FAILED", OfferRefusedError),
        ("NOT_ENOUGH_REPLICAS", OfferRefusedError),
        ("MSG_SIZE_TOO_LARGE", OfferRefusedError),
        ("POLICY_VIOLATION", OfferRefusedError),
        ("UNKNOWN_TOPIC_OR_PART", OfferRefusedError),
        ("_UNKNOWN_TOPIC", OfferRefusedError),
        ("CLUSTER_AUTHORIZATION_FAILED", EngineRefusedError),
        ("_AUTHENTICATION", EngineRefusedError),
        ("_PURGE_QUEUE", EngineUnavailableError),
        ("_QUEUE_FULL", EngineUnavailableError),
        ("NOT_ENOUGH_REPLICAS_AFTER_APPEND", OfferUncertainError),
        ("NOT_LEADER_FOR_PARTITION", OfferUncertainError),
        ("REQUEST_TIMED_OUT", OfferUncertainError),
        ("NETWORK_EXCEPTION", OfferUncertainError),
        ("_MSG_TIMED_OUT", OfferUncertainError),
        ("_TIMED_OUT", OfferUncertainError),
        ("_TRANSPORT", OfferUncertainError),
    ],
)
def test_what_is_known_of_an_offer(name: str, meaning: type[EngineError]) -> None:
    assert type(offer_error(KafkaError(getattr(KafkaError, name)))) is meaning


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("_TRANSPORT", EngineUnavailableError),
        ("_TIMED_OUT", EngineUnavailableError),
        ("_ALL_BROKERS_DOWN", EngineUnavailableError),
        ("REQUEST_TIMED_OUT", EngineUnavailableError),
        ("TOPIC_AUTHORIZATION_FAILED", OfferRefusedError),
        ("SASL_AUTHENTICATION_FAILED", EngineRefusedError),
    ],
)
def test_before_anything_was_sent_no_error_leaves_an_offer_uncertain(
    name: str, meaning: type[EngineError]
) -> None:
    assert type(lookup_error(KafkaError(getattr(KafkaError, name)))) is meaning
