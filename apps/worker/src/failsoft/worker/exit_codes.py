"""Exit statuses, as in sysexits."""

from failsoft.job_engine.errors import (
    ConfigurationError,
    DefinitionError,
    DispatchError,
    EngineError,
    FailsoftError,
    LedgerHostError,
    LedgerSchemaError,
    LedgerUnavailableError,
    ResultTimeoutError,
)

OK = 0
FAILURE = 1
USAGE = 2
UNAVAILABLE = 69
TRY_AGAIN = 75
CONFIG = 78

_BY_ERROR: tuple[tuple[type[FailsoftError], int], ...] = (
    (ConfigurationError, CONFIG),
    (DefinitionError, CONFIG),
    (LedgerSchemaError, CONFIG),
    (LedgerHostError, CONFIG),
    (DispatchError, USAGE),
    (LedgerUnavailableError, TRY_AGAIN),
    (EngineError, UNAVAILABLE),
    (ResultTimeoutError, TRY_AGAIN),
)


def exit_code(error: FailsoftError) -> int:
    """Return the exit status of a kind of error."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), FAILURE)
