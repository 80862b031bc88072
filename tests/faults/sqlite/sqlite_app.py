"""Programs that a SQLite ledger is lost to if a process drops its locks, or is forked.

    python -m tests.faults.sqlite.sqlite_app PLAY LEDGER-URL

Each records jobs, has another process open and close the ledger in between, and prints the ids
that were accepted. It ends by `os._exit` where the environment says `HARD`.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.records.new_job import NewJob
from failsoft.ledger import Database, SqlLedger
from tests.faults.postgresql.lost_replies import PLAN, LedgerCalls

#: What every program of SQLite's does at its end: the last one deletes the log.
VISIT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM failsoft_jobs").fetchall()
connection.close()
"""
#: How long `together` goes on, in seconds.
A_WHILE = 1.5
EMPTY = "0" * 64


class App:
    """An application that has a ledger."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = Database(url)
        self.ledger = SqlLedger(self.database)
        self.accepted: list[str] = []

    def record(self, *ids: str) -> None:
        for each in ids:
            assert LedgerCalls(self.ledger, each).record()
            self.accepted.append(each)

    def visit(self) -> None:
        if self.database.file is not None:
            subprocess.run([sys.executable, "-c", VISIT, str(self.database.file.path)], check=True)


def own_engine(app: App) -> None:
    with create_engine(app.url).begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS orders (id INTEGER)"))
    app.record("a-1")
    app.visit()
    app.record("a-2", "a-3", "a-4")


def session(app: App) -> None:
    engine = create_engine(app.url)
    for number in range(1, 5):
        with Session(engine) as session, session.begin():
            session.execute(text("CREATE TABLE IF NOT EXISTS orders (id INTEGER)"))
            new = NewJob(f"s-{number}", "a-job", "default", "{}", EMPTY)
            app.ledger.within(session).record_job(new, PLAN)
        app.accepted.append(f"s-{number}")
        app.visit()


def daemon(app: App) -> None:
    """Become a daemon as books on Unix say: fork twice, and let the parents leave."""
    app.record("d-1")
    read, write = os.pipe()
    if os.fork():
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    os.setsid()
    app.record("d-2")
    if os.fork():
        os._exit(0)
    os.chdir("/")
    app.record("d-3")
    app.visit()
    app.record("d-4")


def copied(app: App) -> None:
    """Open and close the file, as a backup by `shutil.copy` in the process does."""
    app.record("c-1")
    path = app.database.file.path if app.database.file else Path(os.devnull)
    for number in range(2, 6):
        path.read_bytes()
        app.visit()
        try:
            app.record(f"c-{number}")
        except LedgerUnavailableError:
            app.record(f"c-{number}-again")


def together(app: App) -> None:
    """Record as fast as possible for a while, with an engine of one's own beside the ledger."""
    engine, ends = create_engine(app.url), time.monotonic() + A_WHILE
    number = 0
    while time.monotonic() < ends:
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE IF NOT EXISTS orders (id INTEGER)"))
        app.record(f"t-{os.getpid()}-{number}")
        Database(app.url).close()
        number += 1


def spawned(app: App, method: str) -> None:
    """Record in children of `multiprocessing`, too."""
    app.record("m-0")
    context = multiprocessing.get_context(method)
    children = [context.Process(target=child, args=(app.url, f"m-{n}")) for n in (1, 2)]
    for each in children:
        each.start()
    app.record("m-3")
    app.visit()
    for each in children:
        each.join()
        assert each.exitcode == 0
    app.record("m-4")
    app.accepted += ["m-1", "m-2"]


def child(url: str, job_id: str) -> None:
    App(url).record(job_id)


def fork(app: App) -> None:
    spawned(app, "fork")


def forkserver(app: App) -> None:
    spawned(app, "forkserver")


PLAYS: dict[str, Callable[[App], None]] = {
    each.__name__: each
    for each in (own_engine, session, daemon, copied, together, fork, forkserver)
}


def main(play: str, url: str) -> None:
    app = App(url)
    PLAYS[play](app)
    print(json.dumps(app.accepted), flush=True)  # noqa: T201 - read by the test
    if os.environ.get("HARD"):
        os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
