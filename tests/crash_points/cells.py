"""A cell of the matrix: one crash point and what happens there, once, in whichever process.

A cell is armed by a file that the test writes. The first process to reach the point takes the
file away and has the misfortune; all others pass.
"""

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy.exc import OperationalError

from failsoft.job_engine.crash_points import HOOKS, POINTS
from failsoft.job_engine.errors import OfferUncertainError
from tests.servers.processes import wait_until

#: Where the cells lie: only the programs of these tests read it.
FOLDER = "CRASH_CELLS"
#: Longer than a test lets a process hang.
FOR_EVER = 1000


class Cell(NamedTuple):
    """A point and an action."""

    point: str
    action: str

    @property
    def name(self) -> str:
        return f"{self.point}-{self.action}"

    @property
    def place(self) -> str:
        return self.point.partition(".")[0]

    @property
    def job_id(self) -> str:
        return self.name.replace(".", "-")


def reply_lost(point: str, file: Path) -> None:
    """Fail as the client library does whose server answers no more."""
    if point.startswith("engine"):
        raise OfferUncertainError("a lost reply")
    if point.startswith(("take", "ack")):
        raise RedisConnectionError("a lost reply")
    lost = OperationalError("a statement", None, ConnectionError("a lost reply"))
    lost.connection_invalidated = True
    raise lost


def raise_(point: str, file: Path) -> None:
    raise RuntimeError(f"a crash point: {point}")


def kill(point: str, file: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def stop(point: str, file: Path) -> None:
    """Stand still; the test lets the process go on."""
    os.kill(os.getpid(), signal.SIGSTOP)


def hang(point: str, file: Path) -> None:
    wait_until(file.with_suffix(".go-on").exists, FOR_EVER, "the test lets it go on")


ACTIONS: Mapping[str, Callable[[str, Path], None]] = MappingProxyType(
    {"raise": raise_, "reply-lost": reply_lost, "kill": kill, "stop": stop, "hang": hang}
)

#: A step's body makes no call, so no reply can be lost.
IMPOSSIBLE = frozenset(Cell(f"body.{side}", "reply-lost") for side in ("before", "after"))
MATRIX = tuple(
    cell
    for action in ACTIONS
    for point in POINTS
    if (cell := Cell(point, action)) not in IMPOSSIBLE
)

#: These take a lease and more.
SLOW = frozenset({"stop", "hang"})
#: What `make test` does of every action but to raise, which it does everywhere: the six points of
#: F14 and F15, a renewal, a rescue, an offer, a hand-over that was committed and not sent, a take.
SLICE = frozenset(
    {
        *("claim.before", "claim.after", "body.before", "body.after", "step.after"),
        *("conclude.before", "renew.before", "recover.before", "engine.after", "move.after"),
        "take.after",
    }
)


def is_quick(cell: Cell) -> bool:
    return cell.action == "raise" or cell.point in SLICE


def arm(folder: Path) -> None:
    """Let the cells of a folder happen in this process."""

    def reached(point: str) -> None:
        for action, act in ACTIONS.items():
            armed = folder / f"{point}-{action}.armed"
            with suppress(FileNotFoundError):
                hit = armed.with_suffix(f".{os.getpid()}")
                armed.rename(hit)
                act(point, hit)

    HOOKS.append(reached)
