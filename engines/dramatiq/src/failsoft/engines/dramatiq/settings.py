"""Where Dramatiq's broker is."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from failsoft.engine_api import begins_with

#: The types of RabbitMQ's queues that can carry messages.
QueueType = Literal["classic", "quorum"]

_REDIS = ("redis://", "rediss://", "redis+sentinel://", "rediss+sentinel://")
_BROKERS = ("amqp://", "amqps://", *_REDIS)


class DramatiqSettings(BaseModel):
    """The settings of the engine `dramatiq`.

    Attributes:
        amqp_url: Its broker: `amqp://` for RabbitMQ, `redis://` for a Redis of its own, or
            `redis+sentinel://` for one that Sentinels look after.
        queue_type: Of the queues that are declared on RabbitMQ.
    """

    amqp_url: Annotated[str, AfterValidator(lambda url: begins_with(_BROKERS, url))] = Field(
        default="amqp://guest:guest@localhost:5672/%2F", repr=False
    )
    queue_type: QueueType = "classic"
