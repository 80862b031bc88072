"""A process that has a worker's code loaded, and forks one for each order in a folder.

    python -m tests.crash_points.zygote FOLDER

Loading takes a second of a CPU, and the matrix kills a process in every other cell. An order is a
JSON file: what to be, in which environment, with which log.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.crash_points import roles

LOOK_SECONDS = 0.01


def main(folder: Path) -> None:
    pause = threading.Event()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    while True:
        for order in sorted(folder.glob("*.order")):
            wanted = json.loads(order.read_text())
            pid = os.fork()
            if pid == 0:
                be(wanted)
                return
            order.rename(order.with_suffix(f".{pid}"))
        pause.wait(LOOK_SECONDS)


def be(wanted: Mapping[str, Any]) -> None:
    """Be what was ordered, to the end of the interpreter."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(wanted["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(wanted["env"])
    roles.ROLES[wanted["role"]](*wanted["words"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
