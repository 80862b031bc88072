"""Failsoft in notebooks: `%load_ext failsoft.contrib.ipython`.

Handles of jobs show their state, and a job that is defined in a cell is refused: no worker could
import it.
"""

from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from failsoft.contrib.ipython.cells import refuse_cells
from failsoft.contrib.ipython.html import SHOWN
from failsoft.job_engine.definitions.handlers import check_handlers, stop_checking

__all__ = ["load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Begin; what `%load_ext` calls."""
    check_handlers(refuse_cells)
    html = _html_formatter(shell)
    for kind, show in SHOWN.items():
        html.for_type(kind, show)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """End; what `%unload_ext` calls."""
    stop_checking(refuse_cells)
    html = _html_formatter(shell)
    for kind in SHOWN:
        html.pop(kind, None)


def _html_formatter(shell: InteractiveShell) -> Any:
    # Traits are set when the shell has begun, which no type says.
    formatter: Any = shell.display_formatter
    return formatter.formatters["text/html"]
