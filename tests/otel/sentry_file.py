"""Sentry beside RQ's and Dramatiq's own integrations, with a file in the place of its server."""

import json
from pathlib import Path
from typing import Any

import sentry_sdk
from opentelemetry.sdk.trace import TracerProvider
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.dramatiq import DramatiqIntegration
from sentry_sdk.integrations.opentelemetry.span_processor import SentrySpanProcessor
from sentry_sdk.integrations.rq import RqIntegration
from sentry_sdk.transport import Transport

#: The variable that names the file.
SENTRY = "_FAILSOFT_TEST_SENTRY"
DSN = "https://key@sentry.invalid/1"


class FileTransport(Transport):
    """Appends the name and the spans of each transaction."""

    def __init__(self, path: Path) -> None:
        super().__init__({"dsn": DSN})
        self._path = path

    def capture_envelope(self, envelope: Envelope) -> None:
        sent: Any = envelope.get_transaction_event()
        if sent is not None:
            spans = [each.get("description") for each in sent["spans"]]
            with self._path.open("a") as file:
                file.write(json.dumps([sent["transaction"], spans]) + "\n")


def report_to(path: Path, provider: TracerProvider) -> None:
    """Send what is traced to Sentry, as a program would."""
    sentry_sdk.init(
        dsn=DSN,
        transport=FileTransport(path),
        instrumenter="otel",
        traces_sample_rate=1.0,
        integrations=[RqIntegration(), DramatiqIntegration()],
    )
    provider.add_span_processor(SentrySpanProcessor())


def transactions(path: Path) -> list[tuple[str, list[str]]]:
    if not path.exists():
        return []
    return [tuple(json.loads(line)) for line in path.read_text().splitlines()]
