"""The process that stands for a host: a supervisor and the workers it starts, and nothing else."""

import sys
from collections.abc import Sequence
from datetime import timedelta

from understudy.worker.parentage import die_with_parent
from understudy.worker.supervisor import Supervisor

#: How long the workers may take to stop.
GRACE = timedelta(seconds=3)


def main(parent: int, engine: str, queues: Sequence[str]) -> int:
    """Keep a worker process running for each queue until a signal; return the exit status.

    Args:
        parent: The process that this one ends with.
        engine: What the workers serve the queues from.
        queues: The names of the queues.
    """
    die_with_parent(parent)
    supervisor = Supervisor([(engine, queue) for queue in queues], GRACE)
    supervisor.on_signals()
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
