"""The processor time that processes and all that they started have used."""

from collections.abc import Iterable
from contextlib import suppress

import psutil


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """Return the sum over these and their descendants, of ended ones too that were waited for."""
    return sum(_of(each) for process in processes for each in _tree(process))


def _tree(process: psutil.Process) -> Iterable[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return []


def _of(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0
