"""A process that has the command line loaded, and forks a process of its own for each command.

Loading it takes two seconds of a CPU, and the tests run it a hundred times. All else is as in a
shell: every command has its own process, environment, folder, output and exit status.
"""

import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from failsoft.worker.cli import load_command

COMMANDS = ("worker", "dispatch", "jobs", "engines", "ledger", "doctor", "dev")


class ForkServer:
    """The process, seen from the tests."""

    def __init__(self) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lock = threading.Lock()

    def run(
        self, words: Sequence[str], folder: Path, env: Mapping[str, str], files: Sequence[Path]
    ) -> int:
        """Run `failsoft` with its output in two files; return its exit status."""
        order = {
            "words": list(words),
            "folder": str(folder),
            "env": dict(env),
            "files": [str(file) for file in files],
        }
        stdin, stdout = self._popen.stdin, self._popen.stdout
        assert stdin is not None
        assert stdout is not None
        with self._lock:
            stdin.write(json.dumps(order) + "\n")
            stdin.flush()
            return int(stdout.readline())

    def close(self) -> None:
        self._popen.communicate()


def main() -> None:
    """Fork for every order, and tell how each ended."""
    for command in COMMANDS:
        load_command(command)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            become(json.loads(line))
            return
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def become(order: Mapping[str, Any]) -> None:
    """Be the command, to the end of the interpreter."""
    for number, path in enumerate(("/dev/null", *order["files"])):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), number)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv = ["failsoft", *order["words"]]
    importlib.import_module("failsoft.worker.cli").main()


if __name__ == "__main__":
    main()
