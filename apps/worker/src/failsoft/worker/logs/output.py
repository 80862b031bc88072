"""Logs: one line per event, as text on a terminal and as JSON elsewhere."""

import atexit
import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import structlog

from failsoft.dispatcher.plugins.discovery import plugin
from failsoft.dispatcher.plugins.plugin import AnyPlugin
from failsoft.job_engine.outcome import UNKNOWN_JOB
from failsoft.job_engine.records.job import Claim
from failsoft.job_engine.telemetry import Event
from failsoft.job_engine.values.redaction import redacted
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.logs.rate_limits import FloodGate
from failsoft.worker.logs.sentences import sentence
from failsoft.worker.logs.streams import PatientHandler
from failsoft.worker.logs.visible import MARGIN, visible, visible_block
from failsoft.worker.tracing import TraceIds

_LEVELS = {
    "job.retry": logging.WARNING,
    "job.crash": logging.WARNING,
    "job.recover": logging.WARNING,
    "job.refused": logging.WARNING,
    "job.uncharge": logging.WARNING,
    "job.park": logging.WARNING,
    "job.unknown": logging.WARNING,
    "job.hold": logging.ERROR,
    "job.fail": logging.ERROR,
    "job.crash_out": logging.ERROR,
    "job.exhaust": logging.ERROR,
    "message.rejected": logging.WARNING,
    "message.refused": logging.INFO,
    "engine.failed_over": logging.WARNING,
    # The same level as the fail-over, so that an alert on an outage also gets its end.
    "engine.failed_back": logging.WARNING,
    "engine.evacuated": logging.WARNING,
    "engine.queue_refused": logging.WARNING,
    "route.tripped": logging.WARNING,
    "record.unfit": logging.WARNING,
    "engine.queue_accepted": logging.WARNING,
    "ledger.pruning_dead_letters": logging.WARNING,
    "schedule.error": logging.ERROR,
}

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

#: The field of a record that holds the kind of its event.
KIND = "event_kind"
#: The fields that are printed below a record instead of in it.
_BLOCKS = ("stack_info", "exception")

#: What every record has of its own; everything else of it is a fact.
_OF_RECORDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", KIND}

#: Shows what JSON does not know as Python would.
_ENCODER = json.JSONEncoder(default=repr)

#: Libraries that say more than Failsoft needs, with the least level that is logged.
_LOUD = dict.fromkeys(("alembic", "httpx", "watchfiles"), logging.WARNING)
#: What every line has.
_OF_ALL = ("event", "level", "logger", "timestamp")

logger: logging.Logger = logging.getLogger("failsoft")


def configure_logs(settings: Settings, engines: Sequence[AnyPlugin] | None = None) -> None:
    """Send the logs of this process to standard error, in the chosen form.

    Args:
        settings: Those of the process.
        engines: The engines whose libraries log here; those of the settings where absent.
    """
    if engines is None:
        engines = [plugin(engine.kind) for engine in settings.engines]
    handler = _handler()
    handler.setFormatter(_formatter(as_json=logs_json(settings)))
    handler.addFilter(_OncePerMinute(engines))
    handler.addFilter(TraceIds())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    loud = [_LOUD, *(each.loggers for each in engines)]
    for name, level in (item for each in loud for item in each.items()):
        logging.getLogger(name).setLevel(level)


def logs_json(settings: Settings) -> bool:
    """Return whether lines are logged as JSON: by default where they go to no terminal."""
    is_for_programs = settings.log_format == "auto" and not sys.stderr.isatty()
    return settings.log_format == "json" or is_for_programs


def _handler() -> logging.Handler:
    # A replacement of standard error, as in a test, is written to as it is.
    stream = sys.stderr
    return PatientHandler() if stream is sys.__stderr__ else logging.StreamHandler(stream)


@contextmanager
def bound_to(claim: Claim) -> Iterator[None]:
    """Add the claim's job to every line that is logged inside, whichever logger is used."""
    # `bound_contextvars` copies the context to find what it is to bind again: twice the time.
    tokens = structlog.contextvars.bind_contextvars(
        job_id=claim.job_id,
        job=claim.name,
        attempt=claim.attempt,
        queue=claim.queue,
        engine=claim.engine,
        epoch=claim.epoch,
    )
    try:
        yield
    finally:
        structlog.contextvars.reset_contextvars(**tokens)


class _JsonFormatter(structlog.stdlib.ProcessorFormatter):
    """Makes a record one JSON object.

    Every job writes two events at least, so those do not pass the processors one by one; the
    object is the same.
    """

    def format(self, record: logging.LogRecord) -> str:
        kind = getattr(record, KIND, None)
        if kind is None or record.exc_info or record.stack_info:
            return super().format(record)
        facts = {k: v for k, v in vars(record).items() if k not in _OF_RECORDS}
        bound = structlog.contextvars.get_contextvars()
        bound.pop("event", None)
        moment = datetime.fromtimestamp(record.created, UTC).replace(tzinfo=None)
        line = {
            "event": kind,
            "message": record.getMessage(),
            **bound,
            "level": record.levelname.lower(),
            "logger": record.name,
            **facts,
            "timestamp": f"{moment.isoformat()}Z",
        }
        return _ENCODER.encode(_without_secrets(None, "", line))


def _formatter(*, as_json: bool) -> logging.Formatter:
    renderer: list[Any]
    if as_json:
        renderer = [_for_programs, structlog.processors.JSONRenderer()]
    else:
        renderer = [_for_people, structlog.dev.ConsoleRenderer()]
    kind = _JsonFormatter if as_json else structlog.stdlib.ProcessorFormatter
    return kind(
        foreign_pre_chain=_SHARED,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            # Not the pretty traceback, which shows the values of variables and thus payloads.
            structlog.processors.format_exc_info,
            _without_secrets,
            *renderer,
        ],
    )


def _without_secrets(
    logger: object, method: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Mask the passwords of URLs in the messages of drivers and libraries."""
    for name, value in fields.items():
        if isinstance(value, str):
            fields[name] = redacted(value)
    return fields


def _for_programs(
    logger: object, method: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Name the text of a line `message`; `event` is the kind of its event, if it has one."""
    message, kind = fields.pop("event"), fields.pop(KIND, None)
    return {**({} if kind is None else {"event": kind}), "message": message, **fields}


def _for_people(
    logger: object, method: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Make a record one line, whatever it contains; a traceback is a block behind a margin."""
    text = str(fields["event"]) if fields.pop(KIND, None) else ""
    shown = {
        visible(str(name)): _cell(value)
        for name, value in fields.items()
        if not _is_in(text, name, value)
    }
    blocks = [str(fields[name]) for name in _BLOCKS if shown.pop(name, None)]
    if blocks:
        shown["exception"] = MARGIN + visible_block("\n".join(blocks))
    return shown


def _is_in(sentence: str, name: str, value: object) -> bool:
    """Whether a sentence contains a field; a number is ambiguous and does not count."""
    return name not in _OF_ALL and isinstance(value, str) and bool(value) and value in sentence


def _cell(value: object) -> object:
    if isinstance(value, bool | int | float | None):
        return value
    return visible(value if isinstance(value, str) else repr(value))


class _OncePerMinute(logging.Filter):
    """Let a line of an engine's library pass once a minute: it repeats that a broker is away."""

    def __init__(self, engines: Sequence[AnyPlugin]) -> None:
        super().__init__()
        self._libraries = tuple(name for each in engines for name in each.loggers)
        # The worker says it, once, and when it is over: see `Link`.
        self._said = tuple(text for each in engines for text in each.said_by_link)
        self._seen: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(self._libraries):
            return True
        if record.msg.startswith(self._said):
            return False
        now = time.monotonic()
        key = f"{record.name}:{record.msg}"
        if now - self._seen.get(key, float("-inf")) < 60:  # noqa: PLR2004 - a minute
            return False
        self._seen[key] = now
        return True


def log_event(event: Event) -> None:
    """Log an event as one line; the traceback only with a final failure.

    Events that outsiders can cause are limited: see `FloodGate`.
    """
    if logger.isEnabledFor(level_of(event.kind)) and _passes(event):
        _emit(event.kind, sentence(event), _fields(event))
    if event.detail.get("reason") == UNKNOWN_JOB and event.name not in _unknown_jobs:
        _unknown_jobs.add(event.name)
        unknown = Event("job.unknown", name=event.name, queue=event.queue)
        _emit(unknown.kind, sentence(unknown), _fields(unknown))


def _passes(event: Event) -> bool:
    # Without the id of the job, which differs from line to line.
    alike = {"queue": event.queue, "engine": event.engine}
    known = {name: value for name, value in alike.items() if value is not None}
    return _FLOODS.passes(event.kind, str(event.detail.get("reason", "")), known)


def level_of(kind: str) -> int:
    """Return the level of an event of a kind, as a number of `logging`."""
    return _LEVELS.get(kind, logging.INFO)


def flush_logs() -> None:
    """Log what was counted instead of logged; to be called when the process ends."""
    _FLOODS.flush()


def _fields(event: Event) -> dict[str, Any]:
    fields: dict[str, Any] = {
        name: getattr(event, name)
        for name in ("job_id", "queue", "engine", "epoch")
        if getattr(event, name) is not None
    }
    if event.name is not None:
        fields["job"] = event.name
    fields |= event.detail
    if event.error is not None:
        code = {"error_code": event.error.code} if event.error.code else {}
        fields |= {"error_type": event.error.type, **code, "exception": event.error.traceback}
    return fields


def _emit(kind: str, text: str, fields: Mapping[str, Any]) -> None:
    level = level_of(kind)
    if not logger.isEnabledFor(level):
        return
    # The text is no format string, as it may contain per cent signs; `extra` must not have the
    # logging module's own names, as "message", "name" or "args". The record is made here, as
    # `logger.log` would search the stack for this very line.
    extra = {KIND: kind, **fields}
    record = logger.makeRecord(logger.name, level, __file__, 0, "%s", (text,), None, extra=extra)
    logger.handle(record)


def _emit_count(kind: str, fields: Mapping[str, Any]) -> None:
    known = {name: fields[name] for name in ("queue", "engine") if name in fields}
    text = sentence(Event(kind, **known, detail={"reason": fields["reason"]}))
    _emit(kind, f"{text} ({fields['suppressed']} more like it)", fields)


#: The unknown jobs that this process has logged: each is logged once.
_unknown_jobs = set[str | None]()
_FLOODS = FloodGate(_emit_count)
atexit.register(flush_logs)
