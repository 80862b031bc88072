"""The ids of the current span in log lines: for `logging`, structlog and loguru."""

import logging
from collections.abc import Mapping, MutableMapping
from typing import Any

from opentelemetry.trace import format_span_id, format_trace_id, get_current_span


def current_ids() -> Mapping[str, str]:
    """Return `trace_id` and `span_id` of the current span in hexadecimal; empty for none."""
    context = get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {
        "trace_id": format_trace_id(context.trace_id),
        "span_id": format_span_id(context.span_id),
    }


class TraceFilter(logging.Filter):
    """Gives every record of `logging` a `trace_id` and a `span_id`; empty texts for none.

    It is a filter of a handler: those of a logger see no record of the loggers below it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the ids; let every record pass."""
        ids = current_ids()
        record.trace_id = ids.get("trace_id", "")
        record.span_id = ids.get("span_id", "")
        return True


def add_trace_ids(
    logger: object, method: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Add the ids to a line of structlog, as one of its processors."""
    fields.update(current_ids())
    return fields


def patch_trace_ids(record: MutableMapping[str, Any]) -> None:
    """Add the ids to the `extra` of a record of loguru: `logger.configure(patcher=...)`."""
    record["extra"].update(current_ids())
