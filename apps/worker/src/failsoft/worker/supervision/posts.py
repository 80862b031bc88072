"""What a supervised process is for, as its arguments say it."""

from collections.abc import Sequence

#: Replaces the engine's name where a process serves none.
MAINTENANCE = "maintenance"
#: Stands in a queue's place where a process is an engine's bridge; no queue has such a name.
BRIDGE = "@bridge"


def label_of(post: Sequence[str], ledger: str = "") -> str:
    """Name a process for people: `rq:default`, or `rq:default@a` of ledger `a`."""
    return f"{':'.join(post)}@{ledger}" if ledger else ":".join(post)
