"""A process that is traced into memory, and one deployment for each test that needs servers."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from failsoft.telemetry import instrument, uninstrument
from tests.deployments.fixtures import *  # noqa: F403 - what it offers is listed there


@dataclass
class Spans:
    """What was traced so far."""

    provider: TracerProvider = field(default_factory=TracerProvider)
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    def __post_init__(self) -> None:
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("program")

    def choose(self, **options: Any) -> None:
        """Instrument again, with other options."""
        instrument(tracer_provider=self.provider, **options)

    def named(self, beginning: str) -> list[ReadableSpan]:
        """Return the ended spans whose names begin so, in the order of their ends."""
        ended = self.exporter.get_finished_spans()
        return [span for span in ended if span.name.startswith(beginning)]

    def one(self, beginning: str) -> ReadableSpan:
        (found,) = self.named(beginning)
        return found


@pytest.fixture
def spans() -> Iterator[Spans]:
    traced = Spans()
    traced.choose()
    try:
        yield traced
    finally:
        uninstrument()
        traced.provider.shutdown()
