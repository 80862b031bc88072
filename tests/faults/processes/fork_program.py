"""A program that forks while it has the ledger open; the child and it go on at once.

    python -m tests.faults.processes.fork_program LEDGER-URL

It prints how many jobs each wrote and, where the database shows it, the sessions of both.
"""

import json
import os
import sys
from contextlib import closing

from sqlalchemy import func, select

from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.database.compiled import execute
from tests.faults.postgresql.lost_replies import LedgerCalls

JOBS = 50
SESSION = select(func.pg_backend_pid().label("pid"))


def main(url: str) -> None:
    with closing(Database(url)) as database:
        before = session(database)
        child = os.fork()
        write_jobs(database, "parent" if child else "child")
        print(json.dumps([before, session(database)]), flush=True)  # noqa: T201 - read by the test
        if child:
            _, status = os.waitpid(child, 0)
            sys.exit(os.waitstatus_to_exitcode(status))


def write_jobs(database: Database, name: str) -> None:
    ledger = SqlLedger(database)
    for number in range(JOBS):
        assert LedgerCalls(ledger, f"{name}-{number}").record()


def session(database: Database) -> object:
    """Return the session that answers here: PostgreSQL's process."""
    if database.is_sqlite:
        return None
    return database.ask(lambda channel: execute(channel, SESSION, {}).rows[0].pid)


if __name__ == "__main__":
    main(sys.argv[1])
