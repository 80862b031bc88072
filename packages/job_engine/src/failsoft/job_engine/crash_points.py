"""The named points at which a test lets a process crash, hang, stand still or lose a reply.

Every boundary of the protocol is one: before and after each commit, each look at a step, each
body of a step, each offer to an engine, each acknowledgement. Nothing happens at a point unless
a test's own program has put something there: no setting, no environment variable that the
product reads and no message can. Otherwise a point costs one look at an attribute.
"""

from collections.abc import Callable

#: What the ledger commits, and `begin`, which it only reads.
COMMITS = (
    *("dispatch", "claim", "begin", "step", "conclude", "renew"),
    *("offer", "reoffer", "recover", "park", "exhaust", "postpone", "cancel"),
)
#: What happens outside the ledger: a step's body, an offer to an engine, an acknowledgement.
DEEDS = ("body", "engine", "ack")

#: Every point there is.
POINTS = tuple(f"{name}.{side}" for name in (*COMMITS, *DEEDS) for side in ("before", "after"))


class CrashPoints:
    """Whether anything happens at the points of this process, and what.

    Attributes:
        reached: Called with the name of each point; None outside the tests of crash points.
    """

    __slots__ = ("reached",)

    def __init__(self) -> None:
        """Let nothing happen."""
        self.reached: Callable[[str], None] | None = None


#: Those of this process.
CRASH_POINTS = CrashPoints()
