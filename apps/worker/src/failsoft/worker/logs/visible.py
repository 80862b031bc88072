"""An error as a command or a log shows it; what makes any text visible, beside it."""

from failsoft.job_engine.errors import FailsoftError
from failsoft.job_engine.values.redaction import redacted
from failsoft.job_engine.values.visible import MARGIN, visible, visible_block

__all__ = ["MARGIN", "described", "visible", "visible_block"]


def described(error: BaseException) -> str:
    """Return an error as a command shows it: its code, its kind, its text without passwords."""
    code = f"{error.code} " if isinstance(error, FailsoftError) else ""
    return f"{code}{type(error).__name__}: {visible_block(redacted(str(error)))}"
