"""Addresses of Redis servers as settings."""

from typing import Annotated

from pydantic import AfterValidator

from failsoft.engine_api import begins_with

_REDIS = ("redis://", "rediss://", "unix://", "redis+sentinel://", "rediss+sentinel://")

#: The URL of a Redis or Valkey; empty where there is none.
RedisUrl = Annotated[str, AfterValidator(lambda url: begins_with(_REDIS, url) if url else url)]
