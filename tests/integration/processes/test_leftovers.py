"""What a job leaves behind keeps no slot, and what it changes is as it was for the next one."""

import os
from pathlib import Path

import pytest

from failsoft.job_engine import JobState, QueueProfile
from tests.integration.processes.conftest import Yard, is_there
from tests.jobs.process_jobs import CHILDREN, THREADS, Leaving, Nothing
from tests.servers.processes import PATIENCE, wait_until


@pytest.mark.fault("F58")
@pytest.mark.parametrize("what", ["thread", "executor", "process", "fork"])
def test_what_is_left_behind_in_a_child_ends_with_the_attempt(
    yard: Yard, what: str, tmp_path: Path
) -> None:
    yard.staff("rq", CHILDREN)
    # One more than there are slots, and no lease ends within the test.
    leaving = [Leaving(what=what, noted=tmp_path / f"{number}") for number in range(3)]
    handles = [yard.dispatch("leave", CHILDREN, each) for each in leaving]

    assert [yard.end_of(each).state for each in handles] == [JobState.SUCCEEDED] * 3
    pids = [int(each.noted.read_text()) for each in leaving]
    wait_until(lambda: not any(map(is_there, pids)), PATIENCE, "they have ended")


@pytest.mark.fault("F58")
@pytest.mark.parametrize("what", ["thread", "executor"])
def test_threads_that_are_left_behind_keep_no_slot_of_threads(
    yard: Yard, what: str, tmp_path: Path
) -> None:
    yard.staff("rq", THREADS)
    leaving = [
        Leaving(what=what, noted=tmp_path / f"{number}") for number in range(2 * THREADS.slots)
    ]
    handles = [yard.dispatch("leave", THREADS, each) for each in leaving]

    assert {yard.end_of(each).state for each in handles} == {JobState.SUCCEEDED}


@pytest.mark.parametrize("word", ["change", "change-async"])
@pytest.mark.parametrize(
    ("engine", "queue"),
    [("rq", THREADS), ("dramatiq", THREADS), ("rq", CHILDREN)],
    ids=["rq-threads", "dramatiq-threads", "rq-children"],
)
def test_no_job_finds_what_another_one_changed(
    yard: Yard, engine: str, queue: QueueProfile, word: str
) -> None:
    yard.staff(engine, queue)
    # One after the other: what is the whole process's cannot be told apart while both run.
    found = [yard.dispatch(word, queue, Nothing(), engine).result() for _ in range(queue.slots + 1)]

    assert [each for each in found if each != found[0]] == []
    assert found[0]["tenant"] == "nobody's"
    assert found[0]["folder"] == os.fspath(yard.processes.folder)


@pytest.mark.parametrize("queue", [THREADS, CHILDREN], ids=["threads", "children"])
def test_a_job_that_has_gone_elsewhere_dispatches_to_the_same_ledger(
    yard: Yard, queue: QueueProfile
) -> None:
    yard.staff("rq", queue)

    child_id = yard.dispatch("dispatch", queue, Nothing()).result()

    assert yard.app.ledger.get(child_id).id == child_id
    assert not Path("/ledger.db").exists()
