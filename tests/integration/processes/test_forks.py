"""A fork inside a job has no authority: it records nothing, and ends where the job's code does."""

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from failsoft.job_engine import JobState, QueueProfile
from tests.integration.processes.conftest import ProcessDeployment
from tests.jobs.process_jobs import CHILDREN, THREADS, Forking, Leaving, Nothing
from tests.servers.processes import PATIENCE, pid_is_alive, wait_until, words_of

pytestmark = pytest.mark.fault("F57")

#: How the child goes on, and the exit status that it has then; an error is 1, as Python has it.
HOWS = {"return": 0, "raise": 1, "exit": 7}
PLAIN = [("fork", where, how) for where in ("job", "step", "branch") for how in HOWS]
ASYNC = [
    ("fork-async", where, how)
    for where in ("job", "step", "awaited step", "thread")
    for how in HOWS
]
#: The child uses the job's context all the same, or awaits what its loop would have to wait for.
MISUSED = [
    ("fork", "job", "swallow", 0),
    ("fork", "step", "swallow", 0),
    ("fork-async", "job", "suspend", 1),
    ("fork-async", "awaited step", "suspend", 1),
]
EVERY = [(*each, HOWS[each[2]]) for each in (*PLAIN, *ASYNC)] + MISUSED
#: A child costs more than a thread.
SOME = [EVERY[number] for number in (0, 4, 8, 10, 15)] + MISUSED


@pytest.mark.parametrize(
    ("engine", "queue", "forks"),
    [("rq", THREADS, EVERY), ("dramatiq", THREADS, SOME), ("rq", CHILDREN, SOME)],
    ids=["rq-threads", "dramatiq-threads", "rq-children"],
)
def test_the_end_of_a_fork_is_not_the_attempts(
    deployment: ProcessDeployment,
    engine: str,
    queue: QueueProfile,
    forks: list[tuple[str, str, str, int]],
) -> None:
    worker = deployment.start_worker(engine, queue)
    handles = [
        (
            deployment.dispatch(word, queue, Forking(where=where, how=how), engine),
            (word, where, how),
            status,
        )
        for word, where, how, status in forks
    ]

    for handle, what, status in handles:
        job = deployment.end_of(handle)
        assert (job.state, job.claims, job.result) == (JobState.SUCCEEDED, 1, f"{status}"), what
        assert [event.kind for event in deployment.app.ledger.events(handle.id)].count("claim") == 1
    # The one that forks the children of attempts is a copy, too.
    servers = 1 if queue is CHILDREN else 0
    only_servers = lambda: len(copies_of(worker.pid)) == servers  # noqa: E731
    wait_until(only_servers, PATIENCE, "no other copy of the worker is left")


def copies_of(pid: int) -> list[psutil.Process]:
    """Return what was forked from a worker and lives, also by what it has forked."""
    started = psutil.Process(pid).children(recursive=True)
    return [each for each in started if "failsoft.worker" in words_of(each)]


@pytest.mark.parametrize("queue", [THREADS, CHILDREN], ids=["threads", "children"])
def test_a_fork_can_be_terminated_and_stops_no_worker(
    deployment: ProcessDeployment, queue: QueueProfile
) -> None:
    worker = deployment.start_worker("rq", queue)

    ended = deployment.end_of(deployment.dispatch("terminate", queue, Nothing()))

    assert ended.result == f"{-signal.SIGTERM}"
    live = {each.pid for each in deployment.app.ledger.live_workers()}
    assert worker.pid in live
    assert (
        deployment.end_of(deployment.dispatch("terminate", queue, Nothing())).state
        is JobState.SUCCEEDED
    )


@pytest.fixture
def lone_worker(deployment: ProcessDeployment) -> Iterator[int]:
    """A worker that may be killed."""
    worker = deployment.start_worker("rq", THREADS)
    yield worker.pid
    worker.kill()


@pytest.mark.parametrize("what", ["fork", "process"])
def test_what_a_job_forked_ends_with_its_worker(
    deployment: ProcessDeployment, lone_worker: int, what: str, tmp_path: Path
) -> None:
    noted = tmp_path / "noted"
    left = deployment.end_of(deployment.dispatch("leave", THREADS, Leaving(what=what, noted=noted)))
    pid = int(noted.read_text())
    assert (left.state, pid_is_alive(pid)) == (JobState.SUCCEEDED, True)

    psutil.Process(lone_worker).kill()

    wait_until(lambda: not pid_is_alive(pid), PATIENCE, "the fork has ended")
