"""The supervisor's own program, which `failsoft worker` becomes when all is checked.

To check the settings, the jobs and the ledger takes most of Failsoft; to start processes takes
little. So the process is replaced by one that imports only that, and keeps its id.
"""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import NoReturn

from failsoft.job_engine.errors import ConfigurationError
from failsoft.worker.exit_codes import CONFIG
from failsoft.worker.health.address import read_address
from failsoft.worker.health.reporting import reporting
from failsoft.worker.health.server import health_server
from failsoft.worker.logs.plain import PlainFormatter
from failsoft.worker.logs.streams import PatientHandler, open_standard_streams
from failsoft.worker.logs.visible import described
from failsoft.worker.supervision.supervisor import DeadWorker, Supervisor
from failsoft.worker.supervision.template import AdoptedProcess, WorkerTemplate, start

#: The command of a process that marks a dead worker.
NOTICE = (sys.executable, "-m", "failsoft.worker.supervision.death_notice")
#: How long a supervisor that ends waits until its notices are recorded, in seconds.
LAST_NOTICES_SECONDS = 5.0
#: How many of these processes there are at a time.
MOST_NOTICES = 4

logger: logging.Logger = logging.getLogger("failsoft.supervisor")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be supervised, and how.

    Attributes:
        posts: The arguments of each process.
        ledgers: The ledgers each of which has processes of its own.
        grace: How long the processes may take to stop, in seconds.
        worker_ttl: How long a process counts as serving after a heartbeat, in seconds.
        health: Where probes are answered, as `0.0.0.0:8081`; nowhere where empty.
        log_level: The lowest level that is logged.
        logs_json: Whether lines are logged as JSON.
        as_json: Whether the supervisor prints as JSON what it serves.
        template: What processes are forked from, as `WorkerTemplate.handed_over` has it.
    """

    posts: Sequence[Sequence[str]]
    ledgers: Sequence[str]
    grace: float
    worker_ttl: float
    health: str
    log_level: str
    logs_json: bool
    as_json: bool
    template: tuple[int, int] | None = None


@dataclass(slots=True)
class NoticeProcesses:
    """Starts a process for each worker that died, to mark it in the ledger.

    While the ledger is away each of them waits, so there are few at most. A worker that is not
    marked is found dead by its neighbours, or its leases expire.

    Attributes:
        command: What is started, where it is no fork of the template; the supervisor's id and the
            worker follow.
        template: What they are forked from while there is one.
        patience: How long a supervisor that ends waits for them, in seconds.
    """

    command: Sequence[str] = NOTICE
    patience: float = LAST_NOTICES_SECONDS
    template: WorkerTemplate | None = None
    _started: list[subprocess.Popen[bytes] | AdoptedProcess] = field(
        init=False, default_factory=list
    )

    def note(self, dead: DeadWorker) -> None:
        """Let a worker be marked, without waiting for that."""
        self._started = [each for each in self._started if each.poll() is None]
        if len(self._started) == MOST_NOTICES:
            logger.warning("worker %s (pid %s) is not marked as dead", dead.boot_id, dead.pid)
            return
        words = [str(os.getpid()), json.dumps(asdict(dead))]
        self._started.append(start(self.template, self.command, words))

    def finish(self) -> None:
        """Wait for those that are under way, but not for a ledger that is away."""
        ends = time.monotonic() + self.patience
        for each in self._started:
            try:
                each.wait(max(0.0, ends - time.monotonic()))
            except subprocess.TimeoutExpired:
                each.kill()
                each.wait()


def become_supervisor(plan: Plan) -> NoReturn:
    """Replace the program of this process."""
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    command = [sys.executable, "-m", "failsoft.worker.supervision.program"]
    os.execve(sys.executable, [*command, json.dumps(asdict(plan))], os.environ)  # noqa: S606 - our own module


def main(plan: Plan) -> int:
    """Supervise until a signal; return the exit status."""
    open_standard_streams()
    handler = PatientHandler()
    handler.setFormatter(PlainFormatter(as_json=plan.logs_json))
    logging.basicConfig(level=plan.log_level, handlers=[handler])
    template = WorkerTemplate.attached(*plan.template) if plan.template else None
    deaths = NoticeProcesses(template=template)
    supervisor = Supervisor(
        tuple(map(tuple, plan.posts)),
        timedelta(seconds=plan.grace),
        on_death=deaths.note,
        ledgers=tuple(plan.ledgers),
        worker_ttl=timedelta(seconds=plan.worker_ttl),
        template=template,
    )
    try:
        with health_server(read_address(plan.health), supervisor.health) as url:
            supervisor.on_signals()
            # Where nothing reads it, it is not the purpose of the process.
            with suppress(OSError):
                print(announcement(supervisor.labels, url, as_json=plan.as_json), flush=True)  # noqa: T201 - its answer
            with reporting(supervisor.health) as supervisor.on_turn:
                status = supervisor.run()
    except ConfigurationError as error:
        with suppress(OSError):
            print(described(error), file=sys.stderr)  # noqa: T201 - its answer
        return CONFIG
    finally:
        if template is not None:
            template.close()
    deaths.finish()
    return status


def announcement(serves: Sequence[str], url: str, *, as_json: bool) -> str:
    """Return the line that is printed when the supervisor is ready for signals.

    Args:
        serves: The labels of its posts.
        url: Where probes are answered; nowhere where empty.
        as_json: Whether it is a JSON object.
    """
    if as_json:
        probed = {"health": url} if url else {}
        return json.dumps({"pid": os.getpid(), "serves": serves} | probed)
    probes = f"; probes at {url}" if url else ""
    return f"serving {', '.join(serves)}{probes}; Ctrl-C stops, twice at once"


if __name__ == "__main__":
    sys.exit(main(Plan(**json.loads(sys.argv[1]))))
