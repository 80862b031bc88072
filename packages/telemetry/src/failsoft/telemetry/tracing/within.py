"""The time of a span: it is current while the code within it runs, and over then."""

from collections.abc import Callable
from contextvars import Token
from typing import Generic, TypeVar

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import set_span_in_context

from failsoft.job_engine.tracing import UNTRACED, Untraced
from failsoft.telemetry.tracing.guard import guarded
from failsoft.telemetry.tracing.spans import OtelSpan

S = TypeVar("S", bound=OtelSpan)


class Within(Generic[S]):
    """Begins a span when it is entered and ends it when it is left, with what was raised.

    Args:
        begin: Begins it; what it raises is logged, and nothing is traced.
        base: The context that it is current in; the caller's where None.
    """

    def __init__(self, begin: Callable[[], S], base: Context | None = None) -> None:
        self._begin = begin
        self._base = base
        self._span: S | None = None
        self._token: Token[Context] | None = None

    def __enter__(self) -> S | Untraced:
        """Begin the span."""
        self._span = guarded(self._begin)
        if self._span is None:
            return UNTRACED
        self._token = otel_context.attach(set_span_in_context(self._span.otel, self._base))
        return self._span

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """End it."""
        if self._token is not None:
            otel_context.detach(self._token)
        if self._span is not None:
            self._span.end(error)
