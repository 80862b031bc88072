"""The ledger's JSON values as the commands print them: decoded, and with secrets masked."""

import json
import re
from collections.abc import Mapping
from typing import Any

from failsoft.job_engine.records.job import JobRecord, StepRecord
from failsoft.job_engine.values.redaction import MASK, redacted
from failsoft.worker.cli.output import plain

#: Names of fields whose values are secrets, whatever model they are of.
_SECRET = re.compile(
    r"(?i)password|passwd|passphrase|secret|token|credential|api_?key|private_?key|authorization"
)
#: Fields that are of use to the ledger alone.
_OWN = ("revision", "payload_sha")


def job_document(job: JobRecord) -> dict[str, Any]:
    """Return a job as JSON values, with its payload and its result decoded."""
    document: dict[str, Any] = plain(job)
    for name in _OWN:
        del document[name]
    for name in ("payload", "result", "follow_ups"):
        document[name] = decoded(document[name])
    return document


def step_document(step: StepRecord) -> dict[str, Any]:
    """Return a step as JSON values, with its result decoded."""
    return {**plain(step), "result": decoded(step.result)}


def decoded(text: str | None) -> Any:
    """Decode a JSON text of the ledger; values that look like secrets are masked."""
    if text is None:
        return None
    try:
        return masked(json.loads(text))
    except ValueError:
        return redacted(text)


def masked(value: Any) -> Any:
    """Return a value with its secrets masked: passwords of URLs, and fields that are named so."""
    if isinstance(value, Mapping):
        return {name: _masked_field(name, item) for name, item in value.items()}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return redacted(value) if isinstance(value, str) else value


def in_json(text: str | None) -> str | None:
    """Return a JSON text of the ledger for one line of output, with secrets masked."""
    return None if text is None else json.dumps(decoded(text), ensure_ascii=False)


def _masked_field(name: str, value: Any) -> Any:
    return _hidden(value) if _SECRET.search(name) else masked(value)


def _hidden(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _hidden(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    return MASK if isinstance(value, str) and value else value
