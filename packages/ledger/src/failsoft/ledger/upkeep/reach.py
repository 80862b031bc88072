"""`Reach` as a condition on rows of `jobs`: a batch holds none that the process may not offer."""

import json

from sqlalchemy import ColumnElement, func, or_, true

from failsoft.job_engine.ports.reach import Reach
from failsoft.ledger.schema.jobs import jobs


def may_offer(reach: Reach | None) -> ColumnElement[bool]:
    """Say which jobs may run on an engine that a process has."""
    if reach is None:
        return true()
    # The column holds a JSON list, so that a name stands in it between quotes of its own.
    named = (_holds(json.dumps(engine)) for engine in sorted(reach.engines))
    return or_(jobs.c.engines == "[]", *named)


def _holds(text: str) -> ColumnElement[bool]:
    # Both databases have it, and neither has another name for it: unlike LIKE it has no
    # wildcards, and distinguishes capital letters from small ones.
    return func.length(func.replace(jobs.c.engines, text, "")) < func.length(jobs.c.engines)
