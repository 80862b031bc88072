"""A copy from its first look to its last: see docs/decisions/0077.

The source is locked against writes from before the first row is read until it is sealed; the target
is marked as unfinished from before the first row is written until all is compared. So whenever the
copy is killed, at most one of the two can be used:

| killed | source | target |
|---|---|---|
| while rows are written, or compared | in use as before | unfinished; the next run goes on |
| between the seal and the end | sealed | unfinished; the next run ends it |
| after that | sealed | the ledger |
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from sqlalchemy import Connection, Table

from failsoft.job_engine.errors import ConfigurationError, LedgerError
from failsoft.job_engine.ports.clock import SLACK
from failsoft.ledger.copying import target as targets
from failsoft.ledger.copying.rows import (
    TABLES,
    Sum,
    after,
    batches,
    count,
    short,
    stream,
    sum_of,
    upto,
)
from failsoft.ledger.copying.seal import seal, unseal
from failsoft.ledger.copying.site import Site, opened
from failsoft.ledger.copying.source import (
    Counters,
    clocks_apart,
    counters,
    expect_idle,
    expect_unchanged,
)
from failsoft.ledger.copying.target import Mark
from failsoft.ledger.database.database import Database
from failsoft.ledger.database.errors import translated
from failsoft.ledger.ledger_id import LEDGER_ID
from failsoft.ledger.schema import revision as schema
from failsoft.ledger.upgrade.run import quiet, upgrade
from failsoft.ledger.upgrade.steps import Progress, Report
from failsoft.ledger.verify import count_jobs, verify

#: How long a copy waits for a lock of the source's, or for the turn to write.
PATIENCE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy has done.

    Attributes:
        source: The ledger that was copied, which takes no writes any more.
        target: The ledger that replaces it.
        rows: How many rows of each table it has.
        digests: The sum of the hashes of its rows, by table; the same on both sides.
        jobs: How many jobs were checked on each side.
        events: How many events their histories have.
        violations: How many promises their histories break: as many on both sides.
        resumed: Whether an earlier run had begun it.
        seconds: How long this run took.
    """

    source: str
    target: str
    rows: Mapping[str, int]
    digests: Mapping[str, str]
    jobs: int
    events: int
    violations: int
    resumed: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class _Checked:
    jobs: int
    events: int
    violations: int


def copy(
    source: Database,
    target: Database,
    *,
    restart: bool = False,
    report: Report = quiet,
    patience: timedelta = PATIENCE,
) -> Copied:
    """Copy a ledger into an empty database, and let the copy replace it.

    It may be killed at any point, and goes on where it was when it is called again. Both ledgers
    are verified, and the rows of both compared, before the source is sealed.

    Args:
        source: The ledger.
        target: An empty database; its tables are made if they are missing.
        restart: Delete what an earlier, unfinished copy has written there.
        report: Called with what is being done.
        patience: How long a lock is waited for.

    Raises:
        ConfigurationError: The target is not empty, or is the source.
        LedgerSchemaError: One of them is of another revision, was copied before, or has an
            unfinished copy of another ledger.
        LedgerUnavailableError: The source is in use, or one of them does not answer.
        LedgerError: What was copied is not what was there.
    """
    began = monotonic()
    if source.place == target.place:
        raise ConfigurationError(f"expected another database to copy to, got {target.place} itself")
    with translated(), opened(source, report, patience) as site:
        found = schema.standing(site.connection)
        if found.revision == schema.COPIED:
            with opened(target, report, patience) as other:
                return _Run(site, other, report, began).end()
    schema.check(source)
    targets.expect_revision(found, source.place)
    expect_idle(source)
    seen = counters(source)
    checked = _verified(source, "verify the source", report)
    _prepare(source, target, report, patience)
    with (
        translated(),
        opened(source, report, patience) as site,
        opened(target, report, patience) as other,
    ):
        return _Run(site, other, report, began).run(seen, checked, restart=restart)


def reopen(database: Database) -> str | None:
    """Let a ledger that was copied be used again; return the place of its copy, if it has one.

    The copy must not be used any more: a job of both would be carried out by both.

    Raises:
        LedgerUnavailableError: It does not answer.
    """
    with translated(), opened(database, quiet, PATIENCE) as site, site.writing():
        found = schema.standing(site.connection)
        if found.revision != schema.COPIED:
            return None
        unseal(site.connection)
        place: str = json.loads(found.copy or "{}")["place"]
        return place


class _Run:
    def __init__(self, source: Site, target: Site, report: Report, began: float) -> None:
        self._source = source
        self._target = target
        self._report = report
        self._began = began

    def run(self, seen: Counters, checked: _Checked, *, restart: bool) -> Copied:
        source, target = self._source, self._target
        with source.alone():
            expect_unchanged(seen, counters(source.database))
            mark, resumed = self._marked(restart=restart)
            sums = {short(table): self._copied(table) for table in TABLES}
            self._compare(sums)
            self._expect_same(checked)
            facts = targets.facts_of(source.connection)
            # Sealed before the target may be used: at no moment may both.
            seal(source.connection, target.database.place, mark.copy)
        self._say("seal", "done")
        targets.finish(target, facts)
        return self._done(sums, checked, resumed=resumed)

    def end(self) -> Copied:
        """Finish a copy whose source was sealed, when the run before was killed.

        Raises:
            LedgerSchemaError: It was copied to another database, or that copy is in use.
        """
        found = schema.standing(self._source.connection)
        note = json.loads(found.copy or "{}")
        there = schema.standing(self._target.connection)
        if there.revision != schema.COPYING or Mark.of(there).copy != note["copy"]:
            raise schema.too_new(found, self._source.database.place)
        connection = self._target.connection
        sums = {short(table): targets.reached(connection, table).sum for table in TABLES}
        checked = _verified(self._target.database, "verify the target", self._report)
        of_source = targets.facts_of(self._source.connection)
        facts = {**of_source, schema.MINIMUM: note["minimum"] or schema.REVISION}
        targets.finish(self._target, facts)
        return self._done(sums, checked, resumed=True)

    def _marked(self, *, restart: bool) -> tuple[Mark, bool]:
        place, known = self._source.database.place, _id_of(self._source.connection)
        there = schema.standing(self._target.connection)
        if restart or there.revision != schema.COPYING:
            return targets.begin(self._target, place, known), False
        mark = Mark.of(there)
        if mark.ledger_id != known:
            raise schema.too_new(there, self._target.database.place)
        return mark, True

    def _copied(self, table: Table) -> Sum:
        name, connection = short(table), self._source.connection
        before = targets.reached(self._target.connection, table)
        if before.key is not None and sum_of(connection, upto(table, before.key)) != before.sum:
            raise LedgerError(
                f"expected {name} as the unfinished copy in {self._target.database.place} found "
                "them, got others: the source was used meanwhile; copy it with --restart"
            )
        total, found = count(connection, table), before.sum
        self._say(name, "begun", found.rows, total)
        for batch in batches(table, stream(connection, after(table, before.key)), found):
            targets.write(self._target, table, batch, found)
            self._say(name, "rows", found.rows, total)
        self._say(name, "done")
        return found

    def _compare(self, sums: Mapping[str, Sum]) -> None:
        self._say("compare", "begun")
        with self._target.reading():
            for table in TABLES:
                expected = sums[short(table)]
                got = sum_of(self._target.connection, after(table, None))
                if got != expected:
                    raise LedgerError(
                        f"expected {expected.rows:,} rows of {short(table)} in "
                        f"{self._target.database.place} with the sum {expected.digest:032x}, got "
                        f"{got.rows:,} with {got.digest:032x}; copy again with --restart"
                    )
        self._say("compare", "done")

    def _expect_same(self, checked: _Checked) -> None:
        target = self._target.database
        there = _verified(target, "verify the target", self._report)
        if there != checked:
            raise LedgerError(
                f"expected of `failsoft ledger verify` what it found in the source ({checked}), "
                f"got {there} in {target.place}; copy again with --restart"
            )

    def _done(self, sums: Mapping[str, Sum], checked: _Checked, *, resumed: bool) -> Copied:
        return Copied(
            self._source.database.place,
            self._target.database.place,
            {name: found.rows for name, found in sums.items()},
            {name: f"{found.digest:032x}" for name, found in sums.items()},
            checked.jobs,
            checked.events,
            checked.violations,
            resumed,
            round(monotonic() - self._began, 3),
        )

    def _say(
        self, step: str, phase: str, done: int | None = None, total: int | None = None
    ) -> None:
        self._report(Progress("", step, phase, done, total))


def _prepare(source: Database, target: Database, report: Report, patience: timedelta) -> None:
    """Make the target's tables if there are none, and compare the clocks."""
    target.make_file()
    with translated(), opened(target, report, patience) as site:
        found = schema.standing(site.connection)
    if found.revision is None:
        upgrade(target, report=report, patience=patience)
    apart = clocks_apart(source, target)
    if abs(apart) > SLACK:
        raise ConfigurationError(
            f"expected the clocks of both databases within {SLACK.total_seconds():g} s, got "
            f"{apart.total_seconds():+.1f} s from the source's to the target's; set them: leases "
            "and due times go by the ledger's clock"
        )


def _verified(database: Database, step: str, report: Report) -> _Checked:
    jobs, events, violations, total = 0, 0, 0, count_jobs(database)
    report(Progress("", step, "begun", 0, total))
    for checked in verify(database):
        jobs += checked.jobs
        events += checked.events
        violations += len(checked.violations)
        report(Progress("", step, "jobs", jobs, total))
    report(Progress("", step, "done"))
    return _Checked(jobs, events, violations)


def _id_of(connection: Connection) -> str:
    return schema.fact(connection, LEDGER_ID) or ""
