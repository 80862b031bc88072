"""The process that represents a host: a supervisor and the workers it starts."""

import sys
from collections.abc import Sequence
from datetime import timedelta

from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.processes.parent_death import die_with_parent
from failsoft.worker.supervision.death_notice import record_of
from failsoft.worker.supervision.supervisor import Supervisor
from failsoft.worker.supervision.template_process import fork_template
from failsoft.worker.wiring import death_notices

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
    settings = load_settings()
    template = fork_template(settings)
    ledgers = {each.ledger_name: death_notices(each) for each in settings.by_ledger()}
    posts = [(engine, queue) for queue in queues]
    supervisor = Supervisor(
        posts,
        GRACE,
        on_death=lambda dead: ledgers[dead.ledger].note(record_of(dead)),
        ledgers=tuple(ledgers),
        template=template,
    )
    supervisor.on_signals()
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
