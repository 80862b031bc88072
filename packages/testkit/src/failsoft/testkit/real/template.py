"""A process that has a worker's code loaded, and forks a worker process for each order."""

import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

#: What a worker process imports: the engines' own modules are added by those who start it.
LOADED = ("failsoft.testkit.real.worker", "failsoft.api", "sqlalchemy.dialects.sqlite.pysqlite")
#: The longest order, in bytes.
MOST = 1_000_000


class Template:
    """The process, seen from the test's.

    Args:
        modules: What is loaded before the first order, besides `LOADED`.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        self._end, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            program = (sys.executable, "-m", __name__, str(theirs.fileno()), *LOADED, *modules)
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                program, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )

    def fork(self, order: object) -> tuple[int, socket.socket]:
        """Start a worker process; return its process id and this end of the channel to it."""
        ours, theirs = socket.socketpair()
        with theirs:
            message = json.dumps(asdict(order)).encode()  # type: ignore[call-overload]
            socket.send_fds(self._end, [message], [theirs.fileno()])
        return int(self._end.recv(64)), ours

    def close(self) -> None:
        """End it; the worker processes end with their channels."""
        self._end.close()
        self._process.wait()


def main() -> None:
    """Load the modules named as arguments, then fork for every order until the end is closed."""
    end = socket.socket(fileno=int(sys.argv[1]))
    for name in sys.argv[2:]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    # Those that end are reaped by the system.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        message, descriptors, _, _ = socket.recv_fds(end, MOST, 1)
        if not message:
            return
        pid = os.fork()
        if pid == 0:
            end.close()
            _work(message, descriptors[0])
        os.close(descriptors[0])
        end.send(str(pid).encode())


def _work(message: bytes, descriptor: int) -> None:
    from failsoft.testkit.real.worker import Order, main  # noqa: PLC0415 - loaded by name before

    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        order = Order(**json.loads(message))
        with Path(order.log).open("ab", buffering=0) as log:
            for number in (1, 2):
                os.dup2(log.fileno(), number)
        main(order, socket.socket(fileno=descriptor))
        status = 0
    except BaseException:  # noqa: BLE001 - this process ends here in any case
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
