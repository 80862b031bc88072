"""Checks that the job modules can be imported, and that every job can run here."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType

from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.job_engine.errors import FailsoftError, MissingHandlerError
from failsoft.job_engine.values.findings import Finding, fine, warning
from failsoft.worker.bundled_jobs import load_catalogue
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.doctor.checks import failed


class _TooLate(BaseException):
    """The time is up; not an `Exception`, which a module might catch."""


def look_at_jobs(settings: Settings, limit: timedelta) -> list[Finding]:
    """Import the job modules, which declares their queues, and check their jobs."""
    try:
        with _interrupted_after(limit):
            catalogue = load_catalogue(settings)
    except FailsoftError as error:
        return [failed("jobs", error)]
    except _TooLate:
        seconds = f"{limit.total_seconds():g}s"
        found = f"{', '.join(settings.jobs)} was not imported within {seconds}; jobs not checked"
        return [warning("jobs", found, "every worker waits for it; or give --timeout 30s")]
    return [_modules(settings, catalogue), *_handlers(catalogue)]


def _modules(settings: Settings, catalogue: Catalogue) -> Finding:
    count = len(list(catalogue))
    if not settings.jobs:
        return warning(
            "jobs",
            f"no module of yours, {count} jobs that ship",
            "name the modules that hold your jobs in FAILSOFT_JOBS, separated by commas",
        )
    if catalogue.empty_modules:
        empty = ", ".join(catalogue.empty_modules)
        found = f"{empty} of FAILSOFT_JOBS adds no job; {count} jobs in all"
        return warning("jobs", found, "import the jobs there, or name the module that holds them")
    return fine("jobs", f"{count} jobs, with those of {', '.join(settings.jobs)}")


def _handlers(catalogue: Catalogue) -> Iterator[Finding]:
    for queue in dict.fromkeys(job.queue.name for job in catalogue):
        names = [job.name for job in catalogue if job.queue.name == queue]
        try:
            catalogue.require_handlers([queue])
        except MissingHandlerError as error:
            yield failed(f"handlers {queue}", error)
        else:
            yield fine(f"handlers {queue}", ", ".join(names))


@contextmanager
def _interrupted_after(limit: timedelta) -> Iterator[None]:
    # Not a thread: a module may need the main one, for instance to set a signal handler.
    def too_late(signum: int, frame: FrameType | None) -> None:
        raise _TooLate

    handler = signal.signal(signal.SIGALRM, too_late)
    timer = signal.setitimer(signal.ITIMER_REAL, limit.total_seconds())
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, *timer)
