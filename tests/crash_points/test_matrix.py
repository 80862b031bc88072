"""Every crash point, with everything that can happen there, in real processes.

`make test` raises at every point, and does all the rest at ten; the whole matrix is
`make test ARGS="-m long"`. Cells are played in waves: each scenario's
job is there for one point, and whichever job, or worker, gets there first has the misfortune.
"""

import json
from time import monotonic

import pytest

from failsoft.job_engine import JobState
from failsoft.job_engine.outcome import MAX_CRASHES
from failsoft.job_engine.ports.console import MOST_ON_A_PAGE
from failsoft.ledger.verify import verify
from tests.crash_points.cells import ACTIONS, MATRIX, SLOW, Cell, is_quick
from tests.crash_points.replaced_workers import ReplacedWorkers
from tests.crash_points.scenarios import SCENARIOS, handle
from tests.deployments.deployment import PATIENCE, Deployment
from tests.deployments.promises import (
    assert_finished_steps_stayed_finished,
    assert_one_authority,
    assert_one_outcome,
)
from tests.servers.processes import wait_until

#: The lease is a second, and a rescuer watches for as long before it acts.
BEYOND_THE_LEASE = 2.5
#: How many cells are played at once.
ABREAST = 5
#: Their scenarios dispatch: each would meet another's misfortune.
DISPATCHING = frozenset({"dispatch", "engine", "park"})
#: What is played by one set of workers.
SETS = (("raise", "reply-lost"), ("kill", "stop", "hang"))
pytestmark = [
    pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True),
    pytest.mark.timeout(600),
]


@pytest.mark.fault("F14", "F15", "F22")
@pytest.mark.parametrize("actions", SETS, ids="-and-".join)
def test_no_promise_breaks_at_any_point(
    deployment: Deployment, workers: ReplacedWorkers, actions: tuple[str, ...]
) -> None:
    for action in actions:
        play_all(deployment, workers, [cell for cell in of(action) if is_quick(cell)])
    assert_promises_kept(deployment, workers)


@pytest.mark.long
@pytest.mark.parametrize("action", [name for name in ACTIONS if name != "raise"])
def test_no_promise_breaks_at_any_point_in_the_whole_matrix(
    deployment: Deployment, workers: ReplacedWorkers, action: str
) -> None:
    play_all(deployment, workers, of(action))
    assert_promises_kept(deployment, workers)


def of(action: str) -> list[Cell]:
    return [cell for cell in MATRIX if cell.action == action]


def assert_promises_kept(deployment: Deployment, workers: ReplacedWorkers) -> None:
    for each in deployment.handles:
        assert_one_outcome(deployment, each)
        assert_one_authority(deployment, each)
        assert_finished_steps_stayed_finished(deployment, each, workers.frozen())
    assert_each_notice_told_once(deployment)
    batches = verify(deployment.app.ledger.database)
    assert [violation for batch in batches for violation in batch.violations] == []


def assert_each_notice_told_once(deployment: Deployment) -> None:
    """Count every failure in the jobs that tell of it: none lost, none twice."""
    ledger = deployment.app.ledger

    def is_told() -> bool:
        pending = ledger.pending_notices()
        return not pending.untold and not any(each.count for each in pending.digests)

    wait_until(is_told, PATIENCE, "every notice is told")
    found = ledger.notices(limit=MOST_ON_A_PAGE)
    assert found.after is None
    failures = [each for each in found.items if each.kind in ("job.fail", "job.crash_loop")]
    jobs = ledger.list_jobs(limit=MOST_ON_A_PAGE, name="send_notification")
    assert sum(json.loads(each.payload)["count"] for each in jobs) == len(failures)


def play_all(deployment: Deployment, workers: ReplacedWorkers, cells: list[Cell]) -> None:
    """Play every cell, in waves of cells that stand far apart in the protocol."""
    for wave in waves_of(cells):
        workers.wait_until_live()
        play(deployment, workers, wave)


def waves_of(cells: list[Cell]) -> list[list[Cell]]:
    count = -(-len(cells) // ABREAST)
    # Those of which no two may be in a wave first: no wave gets a second of them.
    ordered = sorted(cells, key=lambda cell: cell.place not in DISPATCHING)
    return [ordered[number::count] for number in range(count)]


def play(deployment: Deployment, workers: ReplacedWorkers, wave: list[Cell]) -> None:
    """Let a job for each cell meet its misfortune, and see every one end as it must."""
    for cell in wave:
        workers.arm(cell)
        SCENARIOS[cell.place].begin(deployment, workers, cell.job_id)
    let_all_be_hit(workers, wave)
    over = lambda: not any(each.is_running for each in workers.others)  # noqa: E731
    wait_until(over, PATIENCE, "the others have ended")
    for cell in wave:
        SCENARIOS[cell.place].then(deployment, workers, cell.job_id)
    workers.wait_until_live()
    for cell in wave:
        assert_ends(deployment, cell)


def let_all_be_hit(workers: ReplacedWorkers, wave: list[Cell]) -> None:
    """Wait for every misfortune, replace who died of one, and end each halt when it is time."""
    since: dict[Cell, float] = {}

    def is_over(cell: Cell) -> bool:
        if workers.was_hit(cell):
            since.setdefault(cell, monotonic())
        lasts = BEYOND_THE_LEASE if cell.action in SLOW else 0
        if cell not in since or monotonic() - since[cell] < lasts:
            return False
        workers.let_go_on(cell)
        return True

    def all_over() -> bool:
        workers.replace()
        over = [is_over(cell) for cell in wave]
        return all(over)

    try:
        wait_until(all_over, 2 * PATIENCE, f"somebody reaches each of {[c.name for c in wave]}")
    except AssertionError as late:
        missed = [cell.name for cell in wave if not workers.was_hit(cell)]
        late.add_note(f"nobody reached {missed}; the logs end:\n{workers.log_tails()}")
        raise


def assert_ends(deployment: Deployment, cell: Cell) -> None:
    """See a job end; one that several misfortunes of a wave met may have crashed too often."""
    deployment.handles.append(handle(deployment, cell.job_id))
    deployment.wait_for_ends(deployment.handles[-1])
    job = deployment.handles[-1].job()
    crash_loop = job.state is JobState.FAILED and job.crashes >= MAX_CRASHES
    assert job.state is SCENARIOS[cell.place].ends or crash_loop, f"{cell}: {job}"
