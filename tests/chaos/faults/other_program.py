"""Another program that has the ledger's file open.

    python -m tests.chaos.faults.other_program FILE

It opens the file, reads, sometimes writes a table of its own, and closes it, over and over, until
it is killed. SQLite's locks must hold between it and the ledger's own processes.
"""

import sqlite3
import sys
import threading
from contextlib import closing, suppress
from itertools import count

PAUSE = 0.02
TABLE = "CREATE TABLE IF NOT EXISTS chaos_strangers (n INTEGER)"


def main(file: str) -> None:
    """Open, use and close the file until killed."""
    for number in count():
        # A writer may find another ahead of it for as long as it waits.
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(file)) as connection:
            connection.execute("SELECT count(*) FROM failsoft_jobs").fetchone()
            if number % 5 == 0:
                with connection:
                    connection.execute(TABLE)
                    connection.execute("INSERT INTO chaos_strangers VALUES (?)", (number,))
        threading.Event().wait(PAUSE)


if __name__ == "__main__":
    main(*sys.argv[1:])
