"""What the tests of templates start: a program that says what it finds, and ends as it is told.

Each function that a test names runs in an interpreter of its own, which has one thread.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from select import select
from typing import Any

from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.processes.parent_death import die_with_parent
from failsoft.worker.supervision.template import AdoptedProcess, WorkerTemplate
from failsoft.worker.supervision.template_process import fork_template
from tests.servers.processes import PATIENCE, wait_until

NAME = "tests.integration.processes.template_program"
ENVIRONMENT = {**os.environ, "GIVEN": "1", "NOT": ""}


@contextmanager
def loaded() -> Iterator[WorkerTemplate]:
    logging.basicConfig()
    template = fork_template(load_settings(_env_file=None, engines="ledger"))
    assert template is not None
    wait_until(lambda: not template.is_loading, PATIENCE, "it has loaded")
    yield template
    template.close()


def compare() -> Sequence[Mapping[str, Any]]:
    """Return what a fork finds, and what an interpreter finds that is executed."""
    found = []
    with loaded() as template:
        for starts in (template, None):
            answer, to = os.pipe()
            words = ["says", "two words"]
            process: AdoptedProcess | subprocess.Popen[bytes] | None
            if starts:
                handed = {"--to": to}
                process = starts.start(NAME, words, environment=ENVIRONMENT, handed=handed)
            else:
                process = subprocess.Popen(
                    [sys.executable, "-m", NAME, *words, "--to", str(to)],
                    env=ENVIRONMENT,
                    start_new_session=True,
                    pass_fds=(to,),
                )
            os.close(to)
            with os.fdopen(answer) as text:
                found.append(json.loads(text.read()))
            assert process is not None
            assert process.pid == found[-1].pop("pid")
            assert process.wait(PATIENCE) == 3
    return found


def says() -> None:
    """Write what an interpreter has, and end with 3."""
    *words, option, to = sys.argv[1:]
    main = sys.modules["__main__"]
    found = {
        "words": words,
        "option": option,
        "pid": os.getpid(),
        "parent": os.getppid(),
        "leads": os.getsid(0) == os.getpid() == os.getpgid(0),
        "environment": dict(os.environ),
        "main": main.__spec__ and main.__spec__.name,
        "is main": main.__dict__ is globals(),
        "path": [each for each in sys.path if each],
        "folder": str(Path.cwd()),
        "signals": [str(signal.getsignal(each)) for each in (signal.SIGTERM, signal.SIGINT)],
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "inherited": inherited() - {int(to)},
        "is shown": b"PATH=" in Path("/proc/self/environ").read_bytes(),
    }
    os.write(int(to), json.dumps(found, default=sorted).encode())
    sys.exit(3)


def inherited() -> set[int]:
    """Return the descriptors that a program would get, which this process starts."""
    found = set()
    for each in Path("/proc/self/fd").iterdir():
        # The list itself has one that is closed by now.
        with suppress(OSError):
            if os.get_inheritable(int(each.name)):
                found.add(int(each.name))
    return found


def ends() -> Sequence[int]:
    """Return how forks end that exit, raise and are killed."""
    with loaded() as template:
        processes = [
            template.start(NAME, [each, str(os.getpid())]) for each in ("exits", "raises", "sleeps")
        ]
        exits, raises, sleeps = [each for each in processes if each is not None]
        statuses = [exits.wait(PATIENCE), raises.wait(PATIENCE)]
        assert sleeps.poll() is None
        sleeps.kill()
        return [*statuses, sleeps.wait(PATIENCE)]


def without_template(end: Callable[[int], object]) -> Sequence[bool]:
    """Return whether a fork goes on, and another starts, where the template is no more."""
    with loaded() as template:
        process = template.start(NAME, ["sleeps", str(os.getpid())])
        assert process is not None
        end(template._pid)
        another = template.start(NAME, ["sleeps", str(os.getpid())])
        goes_on = process.poll() is None
        process.kill()
        process.wait(PATIENCE)
        return [
            goes_on,
            another is None,
            template.start(NAME, ["sleeps", str(os.getpid())]) is None,
        ]


def killed() -> Sequence[bool]:
    """Return that of one that is killed."""
    return without_template(lambda pid: os.kill(pid, signal.SIGKILL))


def stopped() -> Sequence[bool]:
    """Return that of one that stands still."""
    return without_template(lambda pid: os.kill(pid, signal.SIGSTOP))


def unread() -> int:
    """Return how a template ends whose supervisor closes its end without having read."""
    template = fork_template(load_settings(_env_file=None, engines="ledger"))
    assert template is not None
    assert template._orders is not None
    select([template._orders], [], [], PATIENCE)
    template._orders.close()
    _, status = os.waitpid(template._pid, 0)
    return os.waitstatus_to_exitcode(status)


def ended() -> Sequence[int]:
    """Return the ids of a template and of a fork, and end as a supervisor that is killed."""
    with loaded() as template:
        process = template.start(NAME, ["sleeps", str(os.getpid())])
        assert process is not None
        sys.stdout.write(json.dumps([template._pid, process.pid]))
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


if __name__ == "__main__":
    match sys.argv[1]:
        case "says":
            says()
        case "exits":
            sys.exit(7)
        case "raises":
            raise ValueError("as it is told")
        case "sleeps":
            # As a worker.
            die_with_parent(int(sys.argv[2]))
            time.sleep(3600)
        case name:
            sys.stdout.write(json.dumps(globals()[name]()))
