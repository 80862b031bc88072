"""Whatever is raised, wherever: the attempt ends, and its slot is another job's."""

import itertools
from pathlib import Path

import pytest

from failsoft.job_engine import JobState, QueueProfile
from tests.integration.processes.conftest import ProcessDeployment
from tests.jobs.process_jobs import (
    ASYNC_PLACES,
    CHILDREN,
    KINDS,
    PLACES,
    THREADS,
    Ending,
    WaitSteps,
)

ENDED = {JobState.FAILED, JobState.HELD}
EVERY = [("end", *each) for each in itertools.product(KINDS, PLACES)] + [
    ("end-async", *each) for each in itertools.product(KINDS, ASYNC_PLACES)
]
#: Each kind and each place at least once: a child costs more than a thread.
SOME = [
    (("end", "end-async")[number % 2], kind, ASYNC_PLACES[number % len(PLACES)])
    for number, kind in enumerate(KINDS)
]


def slots_of(queue: QueueProfile, engine: str) -> int:
    return queue.slots_on(engine)


@pytest.mark.parametrize("engine", ["rq", "dramatiq"])
@pytest.mark.parametrize("queue", [THREADS, CHILDREN], ids=["threads", "children"])
def test_every_slot_comes_back(
    deployment: ProcessDeployment,
    engine: str,
    queue: QueueProfile,
    tmp_path: Path,
) -> None:
    worker = deployment.start_worker(engine, queue)
    endings = EVERY if (engine, queue) == ("rq", THREADS) else SOME
    handles = {
        ending: deployment.dispatch(
            ending[0], queue, Ending(kind=ending[1], place=ending[2]), engine
        )
        for ending in endings
    }

    for ending, handle in handles.items():
        job = deployment.end_of(handle)
        assert (job.state in ENDED, job.claims) == (True, 1), f"{ending}: {job.state} {job.error}"
        assert job.error is not None, ending

    slots = slots_of(queue, engine)
    meeting = [WaitSteps(folder=tmp_path, number=each, of=slots) for each in range(slots)]
    met = [deployment.dispatch("meet", queue, each, engine) for each in meeting]
    assert [deployment.end_of(each).state for each in met] == [JobState.SUCCEEDED] * slots
    assert worker.is_running
