"""The child process of one attempt."""

import os
import signal
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from understudy.job_engine.interrupts import Released
from understudy.job_engine.lease import Lease
from understudy.job_engine.records import Claim, Conclusion
from understudy.worker.interrupter import interrupt_thread
from understudy.worker.logs import bound_to, configure_logs
from understudy.worker.parentage import die_with_parent
from understudy.worker.settings import load_settings
from understudy.worker.wiring import build_executor


def run_attempt(claim: dict[str, Any], parent: "Connection[Any, Any]") -> None:
    """Run one claimed attempt and exit; the parent renews its lease and may kill it.

    The exit status is 0 once the end of the attempt is recorded, or it was fenced.

    Args:
        claim: The authority of the attempt.
        parent: Where to say why no end of the attempt could be recorded; the parent gives the
            job back then.
    """
    die_with_parent()
    os.setpgid(0, 0)
    # Only steps whose own time is up are interrupted here; the parent kills for the rest.
    lease = Lease(interrupt_thread)

    def release(signum: int, frame: FrameType | None) -> None:
        lease.revoke(Released, at_once=False)

    def unrecorded(claim: Claim, conclusion: Conclusion) -> None:
        parent.send_bytes(conclusion.reason.encode() or b"not recorded")

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, release)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    settings = load_settings()
    configure_logs(settings)
    mine = Claim(**claim)
    with bound_to(mine):
        build_executor(settings, unrecorded).run(mine, lease)
