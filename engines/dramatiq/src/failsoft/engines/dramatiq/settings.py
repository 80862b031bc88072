"""Where Dramatiq's broker is."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from failsoft.engine_api import begins_with

_BROKERS = ("amqp://", "amqps://", "redis://", "rediss://")


class DramatiqSettings(BaseModel):
    """The settings of the engine `dramatiq`.

    Attributes:
        amqp_url: Its broker: `amqp://` for RabbitMQ, `redis://` for a Redis of its own.
    """

    amqp_url: Annotated[str, AfterValidator(lambda url: begins_with(_BROKERS, url))] = Field(
        default="amqp://guest:guest@localhost:5672/%2F", repr=False
    )
