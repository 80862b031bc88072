"""Making the file of a SQLite ledger without ever closing a descriptor of it."""

import os
import tempfile
from pathlib import Path

from failsoft.job_engine.errors import ConfigurationError, LedgerSchemaError


def create_private(path: Path) -> None:
    """Make an empty file that only its owner reads, unless there is one, which is not opened.

    To close a descriptor of the ledger's file drops every lock of this process on it, so what is
    opened and closed is another file, which then gets the ledger's name.

    Raises:
        ConfigurationError: If it cannot be made or written.
    """
    try:
        if not path.exists():
            _link_new(path)
    except OSError as error:
        raise _unusable(path, error) from error
    expect_usable(path)


def expect_usable(path: Path) -> None:
    """Make sure that a file is one and can be written, if there is any.

    Raises:
        ConfigurationError: It is not.
    """
    try:
        if not path.exists():
            return
        if not path.is_file():
            raise IsADirectoryError(0, "it is no file")
        if not os.access(path, os.R_OK | os.W_OK):
            raise PermissionError(0, "Permission denied")
    except OSError as error:
        raise _unusable(path, error) from error


def no_ledger(path: Path) -> LedgerSchemaError:
    """Return the refusal of a ledger whose file there is not: only an upgrade makes it."""
    return LedgerSchemaError(
        f"expected a ledger, got no file at {path.absolute()}; run `failsoft ledger upgrade` to "
        "make one there, or name another one in FAILSOFT_LEDGER_URL"
    )


def _unusable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"expected a ledger file that can be written, got {path}: {error.strerror}"
    )


def _link_new(path: Path) -> None:
    descriptor, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    try:
        os.link(made, path)
    except FileExistsError:
        # Another process was faster.
        return
    except OSError:
        # A file system without links. The descriptor stays open, for the reason above.
        os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    finally:
        Path(made).unlink()
