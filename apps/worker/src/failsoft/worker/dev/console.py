"""The console of `failsoft dev`: a process of its own, with the addresses of the servers.

As a program it serves one. Code of jobs is imported there, so that an error in it ends no other.
"""

import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from typing import Self

import click

from failsoft.worker.configuration.settings import adopt, load_settings
from failsoft.worker.console_server import address_of, console_application, listening, serve
from failsoft.worker.dev.site import DevSite
from failsoft.worker.processes.parent_death import die_with_parent

HOST = "127.0.0.1"
#: Where it is unless another program is there already.
PORT = 8642
_PROGRAM = (sys.executable, "-m", "failsoft.worker.dev.console")


class DevConsole:
    """A console on this machine; starts and stops as a context manager.

    Attributes:
        url: Its address.
    """

    def __init__(self, site: DevSite) -> None:
        """Find a port.

        Args:
            site: The servers that it looks at, once they are started.
        """
        self._site = site
        self._process: subprocess.Popen[bytes] | None = None
        self._listener = _free()
        self.url: str = address_of(HOST, self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        """Start it."""
        self._start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop it."""
        self._stop()
        self._listener.close()

    def restart(self) -> None:
        """Start it again, since a process imports code once; nothing it does is lost by that."""
        self._stop()
        self._start()

    def _start(self) -> None:
        # The socket is handed on: requests that come between two processes wait in it.
        number = self._listener.fileno()
        command = [*_PROGRAM, "--socket", str(number), "--parent", str(os.getpid())]
        environment = {**os.environ, **self._site.environment}
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            command, env=environment, pass_fds=(number,), start_new_session=True
        )

    def _stop(self) -> None:
        if (process := self._process) is not None:
            # Whatever it writes is one transaction each; open pages come back by themselves.
            process.kill()
            process.wait()


def is_installed() -> bool:
    """Return whether the console is there, which is an extra of the distribution."""
    return all(find_spec(name) is not None for name in ("failsoft.console", "uvicorn"))


def _free() -> socket.socket:
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, PORT))
        found.listen()
    except OSError:
        found.close()
        found = listening(HOST, 0)
        found.listen()
    return found


@click.command()
@click.option("--socket", "number", type=int, required=True, help="The socket to listen at.")
@click.option("--parent", type=int, required=True, help="The process that this one ends with.")
def main(*, number: int, parent: int) -> None:
    """Serve the console to this machine."""
    die_with_parent(parent)
    settings = load_settings()
    adopt(settings)
    serve(console_application(settings, HOST, "/", read_only=False), socket.socket(fileno=number))


if __name__ == "__main__":
    main()
