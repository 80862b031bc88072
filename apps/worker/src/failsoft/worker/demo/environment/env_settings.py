"""The environment variables of the demo and its workers: its own settings and no others."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from failsoft.worker.configuration.settings import Settings
from failsoft.worker.configuration.unknown_variables import known_variables

#: The name of the secret that signs the demo's webhooks.
SECRET_NAME = "demo"  # noqa: S105 - a name, and no secret

_PREFIX = "FAILSOFT_"
# Short, so that what takes a minute in production takes seconds here.
_SPANS: Mapping[str, str] = {
    "LEASE": "4s",
    "WORKER_BEAT": "500ms",
    "WORKER_TTL": "6s",
    "MAINTENANCE_EVERY": "250ms",
    "PROBE_EVERY": "250ms",
    "MIN_OPEN": "1s",
    "RAMP": "2s",
    "SHUTDOWN_GRACE": "3s",
}


def demo_settings(
    folder: Path, *, imports: Path, primary: str, fallback: str, secret: str
) -> Mapping[str, str]:
    """Return the settings of the demo as environment variables.

    Args:
        folder: Where the databases go.
        imports: Where the file to import is.
        primary: The URL of RQ's Valkey.
        fallback: The URL of Dramatiq's.
        secret: What signs the webhooks.
    """
    given = {
        "REDIS_URL": primary,
        "AMQP_URL": fallback,
        "LEDGER_URL": f"sqlite:///{folder / 'ledger.db'}",
        "IMPORT_URL": f"sqlite:///{folder / 'imported.db'}",
        "IMPORT_FOLDER": str(imports),
        "WEBHOOK_SECRETS": json.dumps({SECRET_NAME: secret}),
        "WEBHOOK_ALLOW_PRIVATE": "true",
        "LOG_FORMAT": "json",
        # At the hour it would be one more job among those that the demo counts.
        "PRUNE": "off",
    }
    return {_PREFIX + name: value for name, value in {**given, **_SPANS}.items()}


@contextmanager
def only_these_settings(settings: Mapping[str, str]) -> Iterator[None]:
    """Replace every setting of the environment, for this process and those it starts."""
    before = dict(os.environ)
    known = known_variables(Settings)
    try:
        for name in [name for name in before if name.upper() in known]:
            del os.environ[name]
        os.environ.update(settings)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
