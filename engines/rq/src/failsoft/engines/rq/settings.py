"""Where RQ's Redis is."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field

from failsoft.engine_api import port_or_default
from failsoft.queue.urls import RedisUrl


class RqSettings(BaseModel):
    """The settings of the engine `rq`.

    Attributes:
        redis_url: Its Redis or Valkey.
        redis_host: Used with `redis_port` where there is no URL.
        redis_port: See `redis_host`.
    """

    redis_url: RedisUrl = Field(default="", repr=False)
    redis_host: str = "localhost"
    redis_port: Annotated[int, BeforeValidator(port_or_default)] = Field(
        default=6379, ge=1, le=65535
    )

    @property
    def url(self) -> str:
        """Return the URL of the Redis, however it was given."""
        return self.redis_url or f"redis://{self.redis_host}:{self.redis_port}/0"
