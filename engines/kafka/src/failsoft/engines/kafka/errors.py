"""What an error of Kafka's says about an offer."""

from confluent_kafka import KafkaError

from failsoft.engine_api import (
    EngineError,
    EngineRefusedError,
    EngineUnavailableError,
    OfferRefusedError,
    OfferUncertainError,
)

#: The broker did not append the record, and would append none to this topic.
REFUSED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.INVALID_REQUIRED_ACKS,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - how librdkafka names its own errors
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    }
)
#: It would append none to any topic.
REFUSED_EVERYWHERE = frozenset(
    {
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError._AUTHENTICATION,  # noqa: SLF001
    }
)
#: The record has not left this process.
UNSENT = frozenset(
    {
        KafkaError._PURGE_QUEUE,  # noqa: SLF001
        KafkaError._QUEUE_FULL,  # noqa: SLF001
    }
)


def offer_error(error: KafkaError) -> EngineError:
    """Return what the error of a record means.

    What is in none of the sets may have been appended: every timeout, `NOT_ENOUGH_REPLICAS_AFTER_-
    APPEND`, and `NOT_LEADER_FOR_PARTITION`, which a leader says as well that was deposed between
    its append and the answer.
    """
    code, text = error.code(), error.str()
    if code in REFUSED_EVERYWHERE:
        return EngineRefusedError(f"Kafka refuses every offer: {text}")
    if code in REFUSED:
        return OfferRefusedError(f"Kafka refused: {text}")
    if code in UNSENT:
        return EngineUnavailableError(f"Kafka was not reached: {text}")
    return OfferUncertainError(f"Kafka did not confirm: {text}")


def lookup_error(error: KafkaError) -> EngineError:
    """Return what the error of a request means that was made before anything was sent."""
    if error.code() in REFUSED_EVERYWHERE | REFUSED:
        return offer_error(error)
    return EngineUnavailableError(f"Kafka was not reached: {error.str()}")
