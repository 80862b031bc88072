"""A file to which processes append the spans that they have ended, and from which a test reads."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

#: The variable that names the file.
VARIABLE = "_FAILSOFT_TEST_SPANS"


class FileExporter(SpanExporter):
    """Appends each span as a line of JSON."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._path.open("a") as file:
            file.writelines(span.to_json(indent=None) + "\n" for span in spans)
        return SpanExportResult.SUCCESS


class UnreachableProcessor(SpanProcessor):
    """Has spans to send, and nobody who answers."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Wait for ever, as exporters do that have a time limit of their own."""
        return threading.Event().wait()


def provider_to(path: Path) -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(FileExporter(path)))
    return provider


def read(path: Path) -> list[dict[str, Any]]:
    """Return the spans that have ended so far, in the order of their ends."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]
