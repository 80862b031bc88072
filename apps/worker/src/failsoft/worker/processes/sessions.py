"""Processes as the system knows them: by machine, number, beginning and session."""

import os
import signal
from contextlib import suppress
from pathlib import Path

#: The places of a process's session and start time among the fields that follow its name in
#: `/proc/<pid>/stat`.
_SESSION, _START_TIME = 3, 19


def this_machine() -> str:
    """Return the scope in which process ids are unique: a boot of a kernel and a PID namespace.

    Empty where that cannot be read: no process is taken for dead by its id there.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return ""
    return f"{boot} {namespace}"


def birth(pid: int) -> str:
    """Return when a process began, in ticks since the boot; empty if it cannot be read."""
    fields = _fields(Path(f"/proc/{pid}"))
    return fields[_START_TIME] if len(fields) > _START_TIME else ""


def _session(process: Path) -> int | None:
    fields = _fields(process)
    return int(fields[_SESSION]) if len(fields) > _SESSION else None


def _fields(process: Path) -> list[str]:
    try:
        stat = (process / "stat").read_text(errors="replace")
    except OSError:
        return []
    # The name may hold spaces and parentheses; what follows the last one does not.
    return stat.rpartition(")")[2].split()


def end_session(leader: int) -> None:
    """Kill the processes that remain in a session whose leader is gone.

    Processes that a job started in a session of their own are meant to outlive the worker. Where
    `/proc` shows no sessions, only the leader's own group is ended.
    """
    if birth(leader):
        # Another process has this number by now, so no session has it any more.
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    for folder in Path("/proc").glob("[0-9]*"):
        if _session(folder) == leader:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(int(folder.name), signal.SIGKILL)
