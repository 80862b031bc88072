"""What the supervisor's loop does with its report: the state file and the service manager."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from failsoft.worker.health.report import HealthReport
from failsoft.worker.health.state_file import State, StateFile, runtime_folder
from failsoft.worker.health.systemd import Systemd

#: How often an unchanged state is reported, in seconds: well within a watchdog of half a minute.
EVERY_SECONDS = 5.0


class Reporting:
    """Reports the state at each change, and every few seconds.

    Args:
        report: What is reported.
        environment: Where the runtime folder and the service manager's socket are named.
        now: A clock that never goes back.
    """

    def __init__(
        self,
        report: HealthReport,
        environment: Mapping[str, str] = os.environ,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._report = report
        self._file = StateFile(runtime_folder(environment))
        self._systemd = Systemd(environment)
        self._now = now
        self._state: State | None = None
        self._reported_at = 0.0

    def tick(self) -> None:
        """Report, if it is time; called by the supervisor's loop, so its silence is one."""
        state = State.of(self._report)
        if state == self._state and self._now() - self._reported_at < EVERY_SECONDS:
            return
        self._state, self._reported_at = state, self._now()
        self._file.write(state)
        self._systemd.notify(*_assignments(state))

    def close(self) -> None:
        """Remove what the end of the process would leave behind."""
        self._file.remove()


@contextmanager
def reporting(report: HealthReport) -> Iterator[Callable[[], None]]:
    """Yield what the supervisor's loop is to call at each turn."""
    found = Reporting(report)
    try:
        yield found.tick
    finally:
        found.close()


def _assignments(state: State) -> list[str]:
    status = "; ".join([*state.livez, *state.readyz]) or "every post serves"
    ready = [] if state.startupz else ["READY=1"]
    # A unit without a notification is restarted, so the watchdog follows what a restart may help.
    live = [] if state.livez else ["WATCHDOG=1"]
    return [*ready, *live, f"STATUS={status}"]
