"""What is checked before a worker is started.

As a program it answers with the queues to serve, as JSON: `failsoft dev` runs it whenever the code
has changed, because a process imports a module only once.
"""

import json
import logging
import os
import sys
from contextlib import closing

import click

from failsoft.job_engine.errors import FailsoftError, UnknownQueueError
from failsoft.job_engine.policies.queue import declared_queues
from failsoft.job_engine.validation import did_you_mean
from failsoft.ledger import check
from failsoft.worker.bundled_jobs import load_catalogue
from failsoft.worker.configuration.settings import Settings, load_settings
from failsoft.worker.configuration.slots import check_slots
from failsoft.worker.exit_codes import exit_code
from failsoft.worker.logs.visible import described
from failsoft.worker.processes.parent_death import die_with_parent
from failsoft.worker.wiring import open_database

logger: logging.Logger = logging.getLogger("failsoft")


def preflight(settings: Settings, queues: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Check all that can be checked before a process is started; return the queues to serve.

    Args:
        settings: The settings of the workers.
        queues: The queues to serve; all declared ones where empty.

    Raises:
        FailsoftError: A module does not import, a job has no handler, a queue is unknown, or
            the ledger does not fit.
    """
    catalogue = load_catalogue(settings)
    known = tuple(declared_queues())
    check_slots(settings.slots, known)
    unknown = [queue for queue in queues if queue not in known]
    if unknown:
        raise UnknownQueueError(
            f"expected declared queues ({', '.join(sorted(known))}), got {', '.join(unknown)}"
            f"{did_you_mean(unknown[0], known)}"
        )
    chosen = tuple(dict.fromkeys(queues)) or known
    catalogue.require_handlers(chosen)
    for name in catalogue.empty_modules:
        logger.warning("module %s of FAILSOFT_JOBS adds no job", name)
    with closing(open_database(settings)) as database:
        check(database)
    return chosen


@click.command()
@click.argument("queues", nargs=-1)
@click.option("--parent", type=int, help="The process that this one ends with.")
@click.option("--to", type=int, default=1, help="The descriptor to write the queues to.")
def main(queues: tuple[str, ...], parent: int | None, to: int) -> None:
    """Write the queues to serve as JSON, or print the error that prevents workers."""
    die_with_parent(parent)
    try:
        os.write(to, json.dumps(preflight(load_settings(), queues)).encode())
    except FailsoftError as error:
        click.echo(described(error), err=True)
        sys.exit(exit_code(error))


if __name__ == "__main__":
    main()
