"""Functions as programs on RQ have them, and what they did."""

import os as operating_system
from decimal import Decimal
from functools import wraps
from typing import Any

from rq import get_current_job

from tests.adoption.apps.holding import attempt

done: list[object] = []


def note(*values: object, **named: object) -> str:
    done.append((values, named))
    return "noted"


def add(one: int, two: int) -> int:
    return one + two


def price() -> dict[str, Decimal]:
    return {"total": Decimal("7.50")}


def fail(number: int) -> None:
    done.append(f"try {number}")
    raise ValueError(f"number {number}")


def follow(  # noqa: PLR0917 - RQ's
    job: Any, connection: object, kind: type, error: Exception, traceback: object
) -> None:
    done.append((job.id, connection, kind.__name__, str(error)))


def report() -> str:
    job = get_current_job()
    assert job is not None
    job.meta["step"] = 2
    job.save_meta()
    return f"{job.id} {job.meta['from']} {job.origin}"


async def wait() -> str:
    return "waited"


@wraps(note)
def wrapped(*values: object) -> str:
    return note(*values)


class Mailer:
    def send(self) -> None:
        """A method of an instance, which no path leads to."""

    @staticmethod
    def post(to: str) -> str:
        return f"posted to {to}"


nowhere = operating_system.getcwd


def hold(name: str) -> str:
    return attempt(name)
