"""A program that dispatches one job, for tests that kill it on the way.

    python -m tests.faults.processes.dispatch_program JOB-ID [--die]

With `--die` it kills itself as soon as the dispatch has returned.
"""

import os
import signal
import sys

from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.wiring import build
from tests.jobs.scripted import Script, in_thread


def main(job_id: str, *options: str) -> None:
    app = build(load_settings())
    print("dispatching", flush=True)  # noqa: T201 - the test waits for it
    app.dispatcher.dispatch(in_thread, Script(), job_id=job_id)
    if "--die" in options:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
