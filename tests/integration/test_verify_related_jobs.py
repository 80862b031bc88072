"""`failsoft ledger verify` on what jobs have to do with each other: sound, pruned, and broken."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import delete, update

from failsoft.job_engine.invariants import Violation
from failsoft.job_engine.policies.retention import Retention
from failsoft.job_engine.records.states import TERMINAL, JobState
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import groups
from failsoft.ledger.transitions import counts
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.upkeep.pruning import SqlPruner
from failsoft.ledger.verify import verify
from failsoft.testing.ledger_suite import fixtures
from failsoft.testing.ledger_suite.flow import chains, follow_ups
from tests.integration.broken_rows import BREAKS, HOUR_US, do
from tests.integration.related_jobs import everything_happens

#: How many threads write at once.
WRITERS = 3
#: Longer than the id of a group is remembered.
EIGHT_DAYS_US = 8 * 24 * HOUR_US
EVERYTHING = Retention(age=timedelta(0))


@pytest.fixture
def database(ledger_url: str) -> Iterator[Database]:
    with closing(Database(ledger_url)) as database:
        upgrade(database)
        yield database


@pytest.fixture
def ledger(database: Database) -> SqlLedger:
    return SqlLedger(database, actor="tests")


def test_what_belongs_together_is_sound_whatever_is_pruned(
    database: Database, ledger: SqlLedger
) -> None:
    everything_happens(ledger)
    assert list(found(database)) == []

    pruner, pruned = SqlPruner(database), 0
    for name in pruner.ended_names():
        for state in sorted(TERMINAL):
            while pruner.prune(name, state, EVERYTHING, 1):
                pruned += 1
                assert list(found(database)) == []

    assert pruned > 20
    # A group outlives its jobs for as long as its id stands for it.
    database.write(
        lambda c: c.execute(update(groups).values(created_at=groups.c.created_at - EIGHT_DAYS_US))
    )
    assert pruner.prune_groups(10) == 3
    assert list(found(database)) == []


@pytest.mark.long
def test_a_ledger_in_use_is_sound_at_every_moment(database: Database, ledger: SqlLedger) -> None:
    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(everything_happens, ledger, f"s{n}") for n in range(3 * WRITERS)]
        looks = 0
        while not all(writer.done() for writer in writers):
            assert list(found(database)) == []
            looks += 1

    assert looks
    assert [writer.exception() for writer in writers] == [None] * len(writers)
    assert list(found(database)) == []


def test_an_id_that_was_pruned_may_be_used_again(database: Database, ledger: SqlLedger) -> None:
    links, broke = chains.links(2), follow_ups.hooked(ledger)
    ledger.record_chain(links, fixtures.plan())
    ledger.conclude(broke, fixtures.FAILURE)
    ledger.cancel(links[1].id, "somebody")
    pruned = {links[1].id: JobState.CANCELLED, broke.job_id: JobState.FAILED}
    for gone, state in pruned.items():
        do(ledger, delete(jobs).where(jobs.c.id == gone))
        database.write(lambda c, state=state: counts.note_pruned(c, {state: 1}))
        do(ledger, update(jobs).values(created_at=jobs.c.created_at - HOUR_US))

        ledger.record_job(fixtures.new_job(id=gone), fixtures.plan())

    assert list(found(database)) == []


def test_what_no_call_could_have_made_is_found(database: Database, ledger: SqlLedger) -> None:
    everything_happens(ledger)
    known = set[tuple[str, str]]()

    for break_it, (invariant, rule) in BREAKS.items():
        broken = break_it(ledger)
        reported = [(each.invariant, each.rule, each.job_id) for each in found(database)]

        assert (invariant, rule, broken) in reported, break_it.__name__
        assert (rule, broken) not in known
        known |= {(rule, job_id) for _, rule, job_id in reported}


def found(database: Database) -> Iterator[Violation]:
    for checked in verify(database):
        yield from checked.violations
