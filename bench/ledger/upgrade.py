"""How long an upgrade of a large ledger takes, and how long others wait for it meanwhile.

    python bench/ledger/upgrade.py [--rows 2000000] [--ledger postgresql|sqlite]

A ledger of this release gets so many jobs and is upgraded to the made-up next release of
`tests/integration/upgrades` while two threads record, claim and end jobs. Shown are the time of the
upgrade, the longest write meanwhile, and the longest step that keeps writers out: on PostgreSQL no
index does.
"""

import argparse
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from sqlalchemy import Connection, text

from failsoft.ledger import Database
from failsoft.ledger.database.call_limit import RUNNING
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.upgrade.steps import Progress
from tests.integration.upgrades.next_release import ADDITIVE
from tests.servers.postgresql.postgres import Postgres

THREADS = 2
#: What each job has; of a thousand jobs twenty are open.
COLUMNS = (
    "id, name, queue, state, engine, epoch, payload, payload_sha, idempotency_key, created_at,"
    " started_at, finished_at, run_at"
)
VALUES = """
    SELECT {id}, 'job-' || g % 5, 'default',
        CASE WHEN g % 1000 < 950 THEN 'succeeded' WHEN g % 1000 < 980 THEN 'failed'
            WHEN g % 1000 < 998 THEN 'scheduled' ELSE 'running' END,
        'rq', 1, '{{"user_id": ' || g || ', "email": "someone@example.org"}}', {id},
        CASE WHEN g % 10 = 0 THEN 'key-' || g END, 1700000000000000 + g * 1000000,
        1700000000500000 + g * 1000000,
        CASE WHEN g % 1000 < 980 THEN 1700000001000000 + g * 1000000 END,
        CASE WHEN g % 1000 BETWEEN 980 AND 997 THEN 1900000000000000 + g END
"""
INSERT = f"INSERT INTO failsoft_jobs ({COLUMNS}) {VALUES}"
SERIES = "WITH RECURSIVE s(g) AS (SELECT :first UNION ALL SELECT g + 1 FROM s WHERE g < :last)"
SEED = {
    "postgresql": INSERT.format(id="md5(g::text)")
    + " FROM generate_series(CAST(:first AS bigint), :last) g",
    # In the order of the key: at random it takes ten times as long to fill.
    "sqlite": SERIES + " " + INSERT.format(id="printf('%032x', g)") + " FROM s",
}
#: The steps that writers go on beside; a backfill lets them in between its batches.
BESIDE_WRITERS = {
    "postgresql": ("index", "dropping", "validation", "backfill"),
    "sqlite": ("backfill",),
}
#: The longest that the statistics may take, in seconds, on a disk that others use as well.
ANALYZES = 600.0
#: A batch ends well within the limit of a statement, also with every index there.
AT_ONCE = 2_000
RECORD = text(
    "INSERT INTO failsoft_jobs (id, name, queue, state, engine, epoch, payload, payload_sha,"
    " created_at, pickup_by) VALUES (:id, 'live', 'default', 'offered', 'rq', 1, '{}', '', 1, 2)"
)
CLAIM = text(
    "UPDATE failsoft_jobs SET state = 'running', claim_id = :id, claims = claims + 1"
    " WHERE id = :id AND state = 'offered'"
)
END = text("UPDATE failsoft_jobs SET state = 'succeeded', finished_at = 3 WHERE id = :id")


class Load:
    """Threads that record, claim and end jobs, and how long each write took."""

    def __init__(self, database: Database) -> None:
        self.took: list[float] = []
        self.errors: list[str] = []
        self._database = database
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._go_on) for _ in range(THREADS)]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the threads meanwhile."""
        for each in self._threads:
            each.start()
        yield
        self._is_over.set()
        for each in self._threads:
            each.join()

    def _go_on(self) -> None:
        while not self._is_over.wait(0.02):
            job = secrets.token_hex(16)
            for statement in (RECORD, CLAIM, END):
                began = monotonic()
                try:
                    self._database.write(lambda c, s=statement, j=job: c.execute(s, {"id": j}))
                except Exception as error:  # noqa: BLE001 - counted
                    self.errors.append(str(error))
                self.took.append(monotonic() - began)


class Steps:
    """How long each step took."""

    def __init__(self) -> None:
        self.took: dict[str, float] = {}
        self._began = monotonic()

    def report(self, progress: Progress) -> None:
        """Note when a step begins and ends."""
        if progress.phase == "begun":
            self._began = monotonic()
        elif progress.phase == "done" and progress.step != "revision":
            self.took[f"{progress.revision} {progress.step}"] = monotonic() - self._began


def seed(database: Database, rows: int) -> None:
    """Record so many jobs, and update the statistics of the planner."""
    statement = text(SEED[database.url.get_backend_name()])
    for first in range(1, rows + 1, AT_ONCE):
        given = {"first": first, "last": min(first + AT_ONCE - 1, rows)}

        def fill(connection: Connection, given: dict[str, int] = given) -> None:
            connection.execute(statement, given)

        database.write(fill)
    longer = database.at_length.with_statements_of(ANALYZES)
    database.write(analyze, limit=longer)


def analyze(connection: Connection) -> None:
    """Update the statistics of the planner."""
    with RUNNING.answers_within(ANALYZES):
        connection.execute(text("ANALYZE"))


def measure(url: str, rows: int) -> None:
    """Seed a ledger and upgrade it."""
    with closing(Database(url)) as database:
        upgrade(database)
        began = monotonic()
        seed(database, rows)
        print(f"{database.place}: {rows} jobs in {monotonic() - began:.0f} s")
        load_, steps = Load(database), Steps()
        with load_.running():
            threading.Event().wait(5)
            before = max(load_.took)
            quiet = len(load_.took)
            began = monotonic()
            done = upgrade(database, migrations=ADDITIVE, report=steps.report)
            took = monotonic() - began
            during = load_.took[quiet:]
        beside = BESIDE_WRITERS["sqlite" if database.is_sqlite else "postgresql"]
        locking = {name: s for name, s in steps.took.items() if name.split()[1] not in beside}
        name, longest = max(locking.items(), key=lambda item: item[1])
        print(f"{done.before} to {done.revision} in {took:.1f} s; {len(during)} writes meanwhile")
        print(f"longest write: {max(during):.2f} s meanwhile, {before:.2f} s before")
        print(f"longest step that keeps writers out: {longest:.2f} s ({name})")
        print(f"writes that failed: {len(load_.errors)}", *set(load_.errors))
        for name, each in sorted(steps.took.items(), key=lambda item: -item[1])[:6]:
            print(f"  {each:7.2f} s  {name}")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--ledger", choices=sorted(SEED), default="postgresql")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="failsoft-bench-")))
        if given.ledger == "sqlite":
            measure(f"sqlite:///{folder / 'ledger.db'}", given.rows)
            return
        folder.chmod(0o755)
        server = Postgres(folder / "postgres")
        server.start()
        stack.callback(server.stop)
        measure(server.create_database("bench"), given.rows)


if __name__ == "__main__":
    main()
