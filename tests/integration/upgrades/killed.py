"""A program that upgrades a ledger to the next release and is killed at every point on its way.

    python -m tests.integration.upgrades.killed LEDGER-URL FOLDER

Each point kills a process of its own: it is forked, does what is left, and kills itself at the
first point where none has been killed before. The last one gets through.
"""

import json
import os
import signal
import sys
from contextlib import closing
from dataclasses import astuple
from pathlib import Path

from tests.integration.upgrades.next_release import ADDITIVE
from understudy.ledger import Database
from understudy.ledger.migrating.steps import Progress
from understudy.ledger.upgrading import upgrade

#: Where the points are written down at which a process was killed, one a line.
POINTS = "points"
#: After so many batches of the backfill.
BATCHES = 3
#: Many more than there are points: an upgrade that comes no further ends, too.
MOST = 200


def main() -> None:
    """Fork and be killed until an upgrade gets through."""
    url, folder = sys.argv[1], Path(sys.argv[2])
    for _ in range(MOST):
        pid = os.fork()
        if pid == 0:
            _upgrade(url, folder / POINTS)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status != -signal.SIGKILL:
            sys.exit(status)
    sys.exit(f"expected an upgrade to get through after {MOST} were killed, got none")


def _upgrade(url: str, points: Path) -> None:
    with closing(Database(url)) as database:
        upgrade(database, migrations=ADDITIVE, report=lambda progress: _pass(progress, points))


def _pass(progress: Progress, points: Path) -> None:
    if progress.phase.startswith("waiting"):
        return
    # How far a build has come is no point of its own.
    point = json.dumps(astuple(progress)[:3])
    known = points.read_text().splitlines() if points.exists() else []
    if known.count(point) < (BATCHES if progress.phase == "rows" else 1):
        points.write_text("\n".join([*known, point, ""]))
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
