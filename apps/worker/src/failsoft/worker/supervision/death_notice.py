"""A process that marks one dead worker in the ledger, so that no supervisor opens one."""

import json
import sys

from failsoft.job_engine.records.job import WorkerRecord
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.logs.output import configure_logs
from failsoft.worker.processes.parent_death import die_with_parent
from failsoft.worker.supervision.supervisor import DeadWorker
from failsoft.worker.wiring import death_notices


def record_of(dead: DeadWorker) -> WorkerRecord:
    """Return a dead worker as the ledger knows it."""
    return WorkerRecord(dead.boot_id, dead.engine, dead.queue, dead.host, dead.pid, 0)


def main(parent: int, dead: DeadWorker) -> None:
    """Mark a worker, however long the ledger is away.

    Args:
        parent: The supervisor, with which this process ends.
        dead: The worker.
    """
    die_with_parent(parent)
    settings = load_settings(**({"ledger_name": dead.ledger} if dead.ledger else {}))
    configure_logs(settings, engines=())
    notices = death_notices(settings)
    notices.note(record_of(dead))
    notices.finish(timeout=None)


if __name__ == "__main__":
    main(int(sys.argv[1]), DeadWorker(**json.loads(sys.argv[2])))
