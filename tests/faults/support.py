"""What the tests of several faults need."""

import threading
from time import monotonic

import pytest

from failsoft.dispatcher import JobHandle
from failsoft.worker.wiring import App
from tests.deployments.deployment import JOBS, PATIENCE, TRIES_THREAD, Deployment, ScriptedJob
from tests.jobs.scripted import in_thread
from tests.servers.processes import wait_until
from tests.servers.proxy import TcpProxy

#: One kind of ledger, where the fault has nothing to do with it.
ON_SQLITE = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)

OUR_JOBS = f"{JOBS},tests.jobs.fault_jobs"


def through_proxy(url: str, port: int, proxy: TcpProxy) -> str:
    """Return the address of a server behind a proxy."""
    return url.replace(f":{port}/", f":{proxy.port}/")


def adopt(deployment: Deployment, job_id: str, job: ScriptedJob = in_thread) -> JobHandle[int]:
    """Return the handle of a job that another process dispatched."""
    record = deployment.app.ledger.get(job_id)
    deployment.handles.append(JobHandle(record, job, deployment.app.ledger, deployment.app.clock))
    return deployment.handles[-1]


def close(app: App) -> None:
    """Close what a test built besides its deployment, once it has written what it had to write."""
    app.dispatcher.close()
    written = lambda: all(each.name != TRIES_THREAD for each in threading.enumerate())  # noqa: E731
    wait_until(written, PATIENCE, "all tries are written")
    app.ledger.database.close()


def let_pass(seconds: float) -> None:
    """Wait until so much time has passed, where time itself is what the test is about."""
    began = monotonic()
    wait_until(lambda: monotonic() - began > seconds, seconds + PATIENCE, f"{seconds} s pass")
