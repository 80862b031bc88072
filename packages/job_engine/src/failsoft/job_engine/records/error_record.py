"""An exception as the ledger keeps it."""

import traceback
from dataclasses import dataclass

from failsoft.job_engine.error_codes import CODES
from failsoft.job_engine.values.redaction import redacted

#: A recorded traceback keeps its end, which is where the error is.
MAX_TRACEBACK_CHARS = 16 * 1024


#: A recorded message keeps its beginning.
MAX_MESSAGE_CHARS = 2000

#: Secrets are masked in so many times as much, so that no end of a password is left at the cut.
_LOOKED_AT = 4


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """An exception as the ledger keeps it: text only, never local values, no passwords of URLs."""

    type: str
    message: str
    traceback: str = ""

    @property
    def code(self) -> str | None:
        """Its code, as `FS-014`, where it is an error of Failsoft's own."""
        return CODES.get(self.type)

    @classmethod
    def of(cls, error: BaseException) -> "ErrorRecord":
        """Describe an exception."""
        kind = type(error)
        name = kind.__qualname__ if kind.__module__ == "builtins" else _dotted(kind)
        try:
            message = str(error)
            trace = "".join(traceback.format_exception(error))
        except BaseException as again:  # noqa: BLE001 - an error that cannot be shown is one all the same
            message, trace = f"cannot be shown: {type(again).__name__}", ""
        message = redacted(_storable(message[: _LOOKED_AT * MAX_MESSAGE_CHARS]))
        trace = redacted(_storable(trace[-_LOOKED_AT * MAX_TRACEBACK_CHARS :]))
        return cls(name, message[:MAX_MESSAGE_CHARS], trace[-MAX_TRACEBACK_CHARS:])


def _dotted(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _storable(text: str) -> str:
    # PostgreSQL keeps no NUL, and no database a lone surrogate.
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
