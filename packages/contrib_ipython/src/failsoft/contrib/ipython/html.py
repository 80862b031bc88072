"""Handles as HTML: what the ledger has of a job now, or of a group.

All that is shown is escaped: names, notes and errors are texts of programs and of their input.
"""

from collections.abc import Callable, Mapping
from html import escape
from types import MappingProxyType
from typing import Any

from failsoft.api import (
    AsyncJobHandle,
    ChainHandle,
    FailsoftError,
    GroupHandle,
    JobHandle,
    JobRecord,
    Progress,
)

#: The most characters of an error.
LONGEST_ERROR = 500


def of_job(handle: JobHandle[Any]) -> str:
    """Return a table of a job."""
    return _table([("job", handle.id), *_looked_up(lambda: _rows_of(handle.job()))])


def of_async_job(handle: AsyncJobHandle[Any]) -> str:
    """Return a table of a job; it is looked up at once, while a cell waits for its output."""
    return of_job(handle.blocking)


def of_chain(handle: ChainHandle[Any]) -> str:
    """Return a table of each job of a chain."""
    return "".join(map(of_job, handle.jobs))


def of_group(handle: GroupHandle) -> str:
    """Return a table of the counts of a group."""
    return _table([("group", handle.id), *_looked_up(lambda: _counts_of(handle))])


def _rows_of(job: JobRecord) -> list[tuple[str, str]]:
    rows = [("name", job.name), ("state", str(job.state)), ("queue", job.queue)]
    if job.engine:
        rows.append(("engine", f"{job.engine}, epoch {job.epoch}"))
    rows.append(("attempts", str(job.claims)))
    if job.progress is not None:
        rows.append(("progress", _progress(job.progress)))
    if job.error is not None:
        error = f"{job.error.type}: {job.error.message}"
        rows.append(("error", error[:LONGEST_ERROR]))
    return rows


def _progress(progress: Progress) -> str:
    of_total = "" if progress.total is None else f" of {progress.total}"
    return f"{progress.done}{of_total} {progress.note}".strip()


def _counts_of(handle: GroupHandle) -> list[tuple[str, str]]:
    group = handle.progress()
    return [
        ("ended", f"{group.ended} of {group.total}"),
        ("succeeded", str(group.succeeded)),
        ("failed", str(group.failed)),
        ("cancelled", str(group.cancelled)),
    ]


def _looked_up(look: Callable[[], list[tuple[str, str]]]) -> list[tuple[str, str]]:
    try:
        return look()
    except FailsoftError as error:
        return [("not known", f"{type(error).__name__}: {error}")]


def _table(rows: list[tuple[str, str]]) -> str:
    lines = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th>"
        f"<td style='text-align:left'>{escape(value)}</td></tr>"
        for name, value in rows
    )
    return f"<table>{lines}</table>"


#: What shows each kind of handle.
SHOWN: Mapping[type[object], Callable[[Any], str]] = MappingProxyType(
    {
        JobHandle: of_job,
        AsyncJobHandle: of_async_job,
        ChainHandle: of_chain,
        GroupHandle: of_group,
    }
)
