"""A program that copies a ledger and kills itself when it reports a step.

python -m tests.integration.ledger_copy.killed_copy SOURCE-URL TARGET-URL STEP PHASE
"""

import os
import signal
import sys
from contextlib import closing

from failsoft.ledger import Database
from failsoft.ledger.copying.run import copy
from failsoft.ledger.upgrade.steps import Progress


def main() -> None:
    """Copy until then."""
    source_url, target_url, step, phase = sys.argv[1:]

    def report(progress: Progress) -> None:
        if (progress.step, progress.phase) == (step, phase):
            os.kill(os.getpid(), signal.SIGKILL)

    with closing(Database(source_url)) as source, closing(Database(target_url)) as target:
        copy(source, target, report=report)


if __name__ == "__main__":
    main()
