"""The refusal of jobs that no worker could import."""

from collections.abc import Callable
from typing import Any

from failsoft.api import DefinitionError


def refuse_cells(name: str, handler: Callable[..., Any]) -> None:
    """Refuse the handler of a job that is defined in a cell.

    Raises:
        DefinitionError: The message says how to define the job.
    """
    if getattr(handler, "__module__", None) != "__main__":
        return
    raise DefinitionError(
        f"job {name!r}: expected a job in a module, got one in a cell of a notebook, which the "
        "process of a worker cannot import; begin the cell with `%%writefile jobs.py`, run "
        f"`from jobs import {getattr(handler, '__name__', name)}` in the next one, and name "
        "the module in FAILSOFT_JOBS of the worker"
    )
