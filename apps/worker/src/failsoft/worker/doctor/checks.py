"""How checks are run: side by side, each in its time; and what an error stands for."""

import threading
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta

from failsoft.job_engine.errors import FailsoftError
from failsoft.job_engine.values.findings import Check, Finding, failure, unreachable
from failsoft.worker.exit_codes import CONFIG, FAILURE, OK, TRY_AGAIN, UNAVAILABLE, exit_code

#: How long one check may take.
LIMIT = timedelta(seconds=2)


def failed(check: str, error: Exception) -> Finding:
    """Return the finding of an error; Failsoft's own have their remedy after a semicolon."""
    if isinstance(error, FailsoftError):
        found, _, remedy = str(error).partition("; ")
        code = exit_code(error)
        return failure(
            check, f"{found} ({error.code})", remedy, UNAVAILABLE if code == TRY_AGAIN else code
        )
    return failure(check, f"{type(error).__name__}: {error}", "")


class _Look:
    """A check that runs in a thread of its own, which is abandoned if it does not end in time."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._found: list[Finding] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def findings(self, deadline: float, limit: timedelta) -> list[Finding]:
        self._thread.join(max(0.0, deadline - time.monotonic()))
        found = list(self._found)
        if self._thread.is_alive():
            late = f"no answer within {limit.total_seconds():g} s"
            found.append(unreachable(self._check.name, late, self._check.remedy))
        return found

    def _run(self) -> None:
        try:
            for found in self._check.look():
                self._found.append(found)
        except Exception as error:  # noqa: BLE001 - any error of a check is its finding
            self._found.append(failed(self._check.name, error))


def look_at_all(checks: Sequence[Check], limit: timedelta) -> list[Finding]:
    """Run the checks side by side and return what each found within the limit."""
    deadline = time.monotonic() + limit.total_seconds()
    looks = [_Look(check) for check in checks]
    return [found for look in looks for found in look.findings(deadline, limit)]


def exit_status(findings: Iterable[Finding]) -> int:
    """Return the exit status of all: wrong settings come before servers that are away."""
    statuses = {found.status for found in findings}
    return next((code for code in (CONFIG, UNAVAILABLE, FAILURE) if code in statuses), OK)
