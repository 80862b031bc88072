"""What the tests read off a span."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext


def facts(span: ReadableSpan) -> Mapping[str, Any]:
    return dict(span.attributes or {})


def parent(span: ReadableSpan) -> int | None:
    """Return the id of the span that it is a part of."""
    return span.parent.span_id if span.parent else None


def context(span: ReadableSpan) -> SpanContext:
    found: SpanContext = span.context
    return found


def links(span: ReadableSpan) -> list[tuple[str, int, int]]:
    """Return what a span links to: why, and the ids of trace and span."""
    return [
        (str((link.attributes or {})["failsoft.link"]), link.context.trace_id, link.context.span_id)
        for link in span.links
    ]


def link(to: str, span: ReadableSpan) -> tuple[str, int, int]:
    return to, context(span).trace_id, context(span).span_id
