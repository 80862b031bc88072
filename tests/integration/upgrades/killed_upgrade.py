"""A program that upgrades a ledger to the next release and is killed at points on its way.

    python -m tests.integration.upgrades.killed_upgrade LEDGER-URL FOLDER EVERY

Of the points, each EVERY-th kills a process of its own: it is forked, does what is left, and kills
itself at the first such point where none has been before. The last one gets through.
"""

import json
import os
import signal
import sys
from contextlib import closing
from dataclasses import astuple
from pathlib import Path

from failsoft.ledger import Database
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.upgrade.steps import Progress
from tests.integration.upgrades.next_release import ADDITIVE

#: Where the points are written down, one a line, and whether a process was killed there.
POINTS = "points"
#: After so many batches of the backfill.
BATCHES = 3
#: Many more than there are points: an upgrade that comes no further ends, too.
MOST = 200


def main() -> None:
    """Fork and be killed until an upgrade gets through."""
    url, folder, every = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    for _ in range(MOST):
        pid = os.fork()
        if pid == 0:
            _upgrade(url, folder / POINTS, every)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status != -signal.SIGKILL:
            sys.exit(status)
    sys.exit(f"expected an upgrade to get through after {MOST} were killed, got none")


def _upgrade(url: str, points: Path, every: int) -> None:
    def report(progress: Progress) -> None:
        _pass(progress, points, every)

    with closing(Database(url)) as database:
        upgrade(database, migrations=ADDITIVE, report=report)


def _pass(progress: Progress, points: Path, every: int) -> None:
    if progress.phase.startswith("waiting"):
        return
    # How far a build has come is no point of its own.
    point = list(astuple(progress)[:3])
    known = points.read_text().splitlines() if points.exists() else []
    passed = [json.loads(line)[:3] for line in known].count(point)
    if passed < (BATCHES if progress.phase == "rows" else 1):
        is_killed = (len(known) + 1) % every == 0
        points.write_text("\n".join([*known, json.dumps([*point, is_killed]), ""]))
        if is_killed:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
