"""A copy that is killed on its way: at most one of the two ledgers can be used, and it goes on."""

import pytest

from failsoft.job_engine.errors import LedgerError, LedgerSchemaError
from failsoft.ledger import Database, SqlLedger, check
from failsoft.ledger.copying.rows import BATCH_ROWS
from failsoft.ledger.copying.run import copy
from failsoft.ledger.schema.revision import standing
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing.ledger_suite import fixtures
from tests.deployments.deployment import ROOT
from tests.integration.ledger_copy.conftest import WAYS
from tests.integration.ledger_copy.contents import contents, facts, full_ledger
from tests.servers.processes import PATIENCE, Processes

#: Events of more than one batch.
STORIES = BATCH_ROWS // 3
#: Rows are written, all are there, and the source is sealed.
POINTS = [("jobs", "rows"), ("events", "rows"), ("compare", "done"), ("seal", "done")]


@pytest.fixture
def killed(source_url: str, target_url: str, processes: Processes) -> "Killed":
    return Killed(source_url, target_url, processes)


class Killed:
    """Copies in a process of its own, which kills itself."""

    def __init__(self, source_url: str, target_url: str, processes: Processes) -> None:
        self._urls = source_url, target_url
        self._processes = processes

    def at(self, step: str, phase: str) -> None:
        words = ("-m", "tests.integration.ledger_copy.killed_copy", *self._urls, step, phase)
        program = self._processes.python(*words, env={"PYTHONPATH": str(ROOT)})
        assert program.wait(2 * PATIENCE) == -9, program.tail


@pytest.mark.long
@pytest.mark.parametrize(
    "way",
    [WAYS[0], pytest.param(WAYS[1], marks=pytest.mark.long)],
    ids="-to-".join,
    indirect=True,
)
def test_what_was_killed_cannot_be_used_and_is_gone_on_with(
    source: Database, target: Database, killed: Killed
) -> None:
    full_ledger(source, STORIES)
    there = contents(source)

    for step, phase in POINTS:
        killed.at(step, phase)

        with pytest.raises(LedgerSchemaError, match=f"an unfinished copy of {source.place}"):
            check(target)
        with pytest.raises(LedgerSchemaError, match="failsoft ledger copy"):
            upgrade(target)
        # Code that knows nothing of copies looks at these two.
        revision, minimum, _ = target.read(standing)
        assert (revision, minimum) == ("copying", "copying")
        if step == "seal":
            with pytest.raises(LedgerSchemaError, match="was copied to"):
                check(source)
        else:
            check(source)
            assert contents(source) == there
    done = copy(source, target)

    assert done.resumed
    assert contents(target) == there
    check(target)
    assert not {name for name in facts(target) if name.startswith("copied")}
    with pytest.raises(LedgerSchemaError):
        check(source)


def test_a_source_that_was_used_meanwhile_is_copied_anew(
    source: Database, target: Database, killed: Killed
) -> None:
    full_ledger(source)
    killed.at("compare", "done")
    ledger = SqlLedger(source)
    # Neither a new job nor an event: only a lease, of a job that was copied.
    claim = fixtures.started(ledger)
    killed_before = contents(source)

    with pytest.raises(LedgerError, match=r"the source was used meanwhile; copy it with --restart"):
        copy(source, target)
    done = copy(source, target, restart=True)

    assert not done.resumed
    assert contents(target) == killed_before
    assert SqlLedger(target).get(claim.job_id).epoch == claim.epoch
