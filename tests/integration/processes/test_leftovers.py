"""What a job leaves behind keeps no slot, and what it changes is as it was for the next one."""

import os
from pathlib import Path

import pytest

from failsoft.job_engine import JobState, QueueProfile
from tests.integration.processes.conftest import ProcessDeployment
from tests.jobs.process_jobs import CHILDREN, THREADS, Leaving, Nothing
from tests.servers.processes import PATIENCE, pid_is_alive, wait_until


@pytest.mark.fault("F58")
@pytest.mark.parametrize("what", ["thread", "executor", "process", "fork"])
def test_what_is_left_behind_in_a_child_ends_with_the_attempt(
    deployment: ProcessDeployment, what: str, tmp_path: Path
) -> None:
    deployment.start_worker("rq", CHILDREN)
    # One more than there are slots, and no lease ends within the test.
    leaving = [Leaving(what=what, noted=tmp_path / f"{number}") for number in range(3)]
    handles = [deployment.dispatch("leave", CHILDREN, each) for each in leaving]

    assert [deployment.end_of(each).state for each in handles] == [JobState.SUCCEEDED] * 3
    pids = [int(each.noted.read_text()) for each in leaving]
    wait_until(lambda: not any(map(pid_is_alive, pids)), PATIENCE, "they have ended")


@pytest.mark.fault("F58")
@pytest.mark.parametrize("what", ["thread", "executor"])
def test_threads_that_are_left_behind_keep_no_slot_of_threads(
    deployment: ProcessDeployment, what: str, tmp_path: Path
) -> None:
    deployment.start_worker("rq", THREADS)
    leaving = [
        Leaving(what=what, noted=tmp_path / f"{number}") for number in range(2 * THREADS.slots)
    ]
    handles = [deployment.dispatch("leave", THREADS, each) for each in leaving]

    assert {deployment.end_of(each).state for each in handles} == {JobState.SUCCEEDED}


@pytest.mark.parametrize("word", ["change", "change-async"])
@pytest.mark.parametrize(
    ("engine", "queue"),
    [("rq", THREADS), ("dramatiq", THREADS), ("rq", CHILDREN)],
    ids=["rq-threads", "dramatiq-threads", "rq-children"],
)
def test_no_job_finds_what_another_one_changed(
    deployment: ProcessDeployment, engine: str, queue: QueueProfile, word: str
) -> None:
    deployment.start_worker(engine, queue)
    # One after the other: what is the whole process's cannot be distinguished while both run.
    found = [
        deployment.dispatch(word, queue, Nothing(), engine).result() for _ in range(queue.slots + 1)
    ]

    assert [each for each in found if each != found[0]] == []
    assert found[0]["tenant"] == "nobody's"
    assert found[0]["folder"] == os.fspath(deployment.processes.folder)


@pytest.mark.parametrize("queue", [THREADS, CHILDREN], ids=["threads", "children"])
def test_a_job_that_has_gone_elsewhere_dispatches_to_the_same_ledger(
    deployment: ProcessDeployment, queue: QueueProfile
) -> None:
    deployment.start_worker("rq", queue)

    child_id = deployment.dispatch("dispatch", queue, Nothing()).result()

    assert deployment.app.ledger.get(child_id).id == child_id
    assert not Path("/ledger.db").exists()
