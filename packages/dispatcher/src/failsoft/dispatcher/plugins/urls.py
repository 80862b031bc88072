"""Addresses of servers as settings."""

from typing import Any

from pydantic_core import PydanticUseDefault

from failsoft.job_engine.values.redaction import scheme_of


def begins_with(known: tuple[str, ...], url: str) -> str:
    """Return a URL that begins with one of the schemes.

    Raises:
        ValueError: If it begins otherwise; the message shows no more of it than its scheme.
    """
    if not url.startswith(known):
        scheme = scheme_of(url)
        got = f"one that begins with {scheme}" if scheme else "one without a scheme"
        raise ValueError(f"expected a URL that begins with one of {', '.join(known)}, got {got}")
    return url


def port_or_default(value: Any) -> Any:
    """Leave out what Kubernetes sets for a service called `redis`: `tcp://10.0.0.1:6379`."""
    if isinstance(value, str) and "://" in value:
        raise PydanticUseDefault
    return value
