"""What the tests of several faults need."""

import threading
from time import monotonic

import pytest

from failsoft.dispatcher import JobHandle
from failsoft.worker.wiring import App
from tests.deployments.deployment import JOBS, PATIENCE, TRIES_THREAD, Play, Stage
from tests.jobs.scripted import in_thread
from tests.servers.processes import wait_until
from tests.servers.proxy import TcpProxy

#: One kind of ledger, where the fault has nothing to do with it.
ON_SQLITE = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)

OUR_JOBS = f"{JOBS},tests.jobs.fault_jobs"


def by_road(url: str, port: int, road: TcpProxy) -> str:
    """Return the address of a server behind a proxy."""
    return url.replace(f":{port}/", f":{road.port}/")


def adopt(stage: Stage, job_id: str, job: Play = in_thread) -> JobHandle[int]:
    """Return the handle of a job that another process dispatched."""
    record = stage.app.ledger.get(job_id)
    stage.handles.append(JobHandle(record, job, stage.app.ledger, stage.app.clock))
    return stage.handles[-1]


def close(app: App) -> None:
    """Close what a test built besides its stage, once it has written what it had to write."""
    app.dispatcher.close()
    written = lambda: all(each.name != TRIES_THREAD for each in threading.enumerate())  # noqa: E731
    wait_until(written, PATIENCE, "all tries are written")
    app.ledger.database.close()


def let_pass(seconds: float) -> None:
    """Wait until so much time has passed, where time itself is what the test is about."""
    began = monotonic()
    wait_until(lambda: monotonic() - began > seconds, seconds + PATIENCE, f"{seconds} s pass")
