"""Workers of both engines, on threads and in children, which start when a test needs them."""

import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import QueueProfile
from failsoft.job_engine.records.job import JobRecord
from failsoft.ledger import Database
from failsoft.ledger.upgrade.run import upgrade
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.wiring import App, build
from tests.jobs.process_jobs import DEFINED
from tests.servers.processes import PATIENCE, Process, Processes, wait_until
from tests.servers.valkey import Valkey

ROOT = Path(__file__).parents[3]


@dataclass
class ProcessDeployment:
    """What a test works with."""

    app: App
    processes: Processes
    env: Mapping[str, str]
    workers: dict[tuple[str, str], Process] = field(default_factory=dict)

    def start_worker(self, engine: str, queue: QueueProfile) -> Process:
        """Have a worker, and wait until it takes jobs."""
        post = engine, queue.name
        if post not in self.workers or not self.workers[post].is_running:
            words = ("-m", "failsoft.worker", *post)
            started = self.processes.python(*words, env=self.env)
            self.workers[post] = started
            wait_until(lambda: self._is_live(started), PATIENCE, "a live worker")
        return self.workers[post]

    def dispatch(
        self, word: str, queue: QueueProfile, payload: BaseModel, engine: str = "rq"
    ) -> JobHandle[Any]:
        """Dispatch a job to an engine."""
        return self.app.dispatcher.dispatch(DEFINED[word, queue.name], payload, engines=(engine,))

    def end_of(self, handle: JobHandle[Any]) -> JobRecord:
        """Wait until a job has ended, or is held."""
        found = wait_until(lambda: self._ended(handle), PATIENCE, f"{handle.id} ends")
        assert found is not None
        return found

    def _ended(self, handle: JobHandle[Any]) -> JobRecord | None:
        found = handle.job()
        return found if found.state.is_terminal or found.state == "held" else None

    def _is_live(self, worker: Process) -> bool:
        assert worker.is_running, f"expected a worker that lives, got:\n{worker.tail}"
        return worker.pid in {each.pid for each in self.app.ledger.live_workers()}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessDeployment]:
    """One ledger, whose path the workers know as a relative one, and both engines."""
    folder = tmp_path_factory.mktemp("processes")
    with Valkey(folder / "rq") as rq, Valkey(folder / "broker") as broker:
        env = {
            "FAILSOFT_REDIS_URL": rq.url,
            "FAILSOFT_AMQP_URL": broker.url,
            "FAILSOFT_LEDGER_URL": "sqlite:///ledger.db",
            "FAILSOFT_JOBS": "tests.jobs.process_jobs",
            "FAILSOFT_DISPATCH_BUDGET": "5s",
            "FAILSOFT_WORKER_BEAT": "500ms",
            "FAILSOFT_WORKER_TTL": "30s",
            "FAILSOFT_MAINTENANCE_EVERY": "500ms",
            "FAILSOFT_PRUNE": "off",
            "FAILSOFT_LOG_FORMAT": "json",
            "FAILSOFT_NAMESPACE": f"p{uuid.uuid4().hex[:8]}",
            "PYTHONPATH": str(ROOT),
            "LC_ALL": "C.UTF-8",
        }
        ours = {**env, "FAILSOFT_LEDGER_URL": f"sqlite:///{folder}/ledger.db"}
        database = Database(ours["FAILSOFT_LEDGER_URL"])
        upgrade(database)
        with pytest.MonkeyPatch.context() as patch:
            for name in os.environ:
                if name.startswith("FAILSOFT_") and not name.startswith("FAILSOFT_TEST"):
                    patch.delenv(name)
            for name, value in ours.items():
                patch.setenv(name, value)
            app = build(load_settings(), lambda event: None)
        processes = Processes(folder)
        try:
            yield ProcessDeployment(app, processes, env)
        finally:
            processes.end()
            app.dispatcher.close()
            app.ledger.database.close()
