"""The jobs that ship, bound to what they need."""

from collections.abc import Sequence

from understudy.job_engine.definition import AnyDefinition
from understudy.worker.settings import Settings


def shipped_jobs(settings: Settings) -> Sequence[AnyDefinition]:
    """Return the shipped jobs with their handlers."""
    return ()
