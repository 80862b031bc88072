"""The warning about a job module that opens the dispatcher while it is imported."""

import sys
import warnings
from types import FrameType

from failsoft.job_engine.definitions.importing import importing

#: Whose frames are passed over, for the line that a user wrote.
_NOT_THE_USERS = ("failsoft.", "importlib.", "threading")


def warn_if_importing() -> None:
    """Warn, at the line that opens the dispatcher, if a job module is being imported."""
    module = importing()
    if module is None:
        return
    file, line = _line_of_the_user() or (module, 1)
    warnings.warn_explicit(
        f"job module {module} opens the dispatcher while it is imported: it can be imported only "
        "while the ledger answers, and by every process that forks afterwards the connections are "
        "opened again; dispatch within a function",
        RuntimeWarning,
        file,
        line,
    )


def _line_of_the_user() -> tuple[str, int] | None:
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - as the interpreter's own warnings do
    while frame is not None:
        if not str(frame.f_globals.get("__name__")).startswith(_NOT_THE_USERS):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return None
