"""What a check found, and what to do about it."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from failsoft.job_engine.values.redaction import redacted

#: The exit status of a command that found something wrong that has no status of its own.
FAILURE = 1


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: What was looked at.
        found: What was found.
        remedy: What to do about it; empty where nothing is to be done.
        status: The exit status that it calls for, as in `sysexits.h`.
    """

    check: str
    level: Level
    found: str
    remedy: str = ""
    status: int = os.EX_OK


def fine(check: str, found: str) -> Finding:
    """Return a finding that nothing is to be done about."""
    return Finding(check, Level.OK, redacted(found))


def warning(check: str, found: str, remedy: str) -> Finding:
    """Return a finding that Failsoft works with, but not as well as it might."""
    return Finding(check, Level.WARNING, redacted(found), remedy)


def failure(check: str, found: str, remedy: str, status: int = FAILURE) -> Finding:
    """Return a finding that Failsoft does not work with."""
    return Finding(check, Level.FAILURE, redacted(found), remedy, status)


def warning_if(problem: bool, check: str, found: str, remedy: str) -> Finding:
    """Return a warning if there is a problem, else the same finding without one."""
    return warning(check, found, remedy) if problem else fine(check, found)


def failure_if(problem: bool, check: str, found: str, remedy: str) -> Finding:
    """Return a failure if there is a problem, else the same finding without one."""
    return failure(check, found, remedy) if problem else fine(check, found)


def unreachable(check: str, found: str, remedy: str) -> Finding:
    """Return the finding of a server that is needed and does not answer."""
    return failure(check, found, remedy, os.EX_UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at.

    Attributes:
        look: Looks, and may raise.
        remedy: What to do when it does not come to an end.
    """

    name: str
    look: Callable[[], Iterable[Finding]]
    remedy: str = ""
