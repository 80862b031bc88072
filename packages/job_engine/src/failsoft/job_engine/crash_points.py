"""The named points at which a test lets a process crash, hang, stand still or lose a reply.

Every boundary of the protocol is one: before and after each commit, each look at a step, each
body of a step, each offer to an engine, each take from one, each acknowledgement. Nothing happens
at a point unless a test's own program has put something there: no setting, no environment variable
that the product reads and no message can. Otherwise a point costs one call of a function.
"""

from collections.abc import Callable

#: What the ledger commits, and `begin`, which it only reads.
COMMITS = (
    *("dispatch", "claim", "begin", "step", "conclude", "renew"),
    *("offer", "reoffer", "recover", "park", "exhaust", "postpone", "cancel", "move", "bulk"),
    "tell",
)
#: What happens outside the ledger: the taking of messages from an engine, an acknowledgement, an
#: offer to an engine, a step's body.
DEEDS = ("take", "ack", "engine", "body")

#: Every point there is.
POINTS = tuple(f"{name}.{side}" for name in (*COMMITS, *DEEDS) for side in ("before", "after"))

#: Called in order with the name of each point; empty outside the tests of crash points.
HOOKS: list[Callable[[str], None]] = []


def reached(point: str) -> None:
    """Call what a test has put at a point."""
    for hook in HOOKS:
        hook(point)
