"""Several ledgers in the place of one, as the settings name them."""

import re
from typing import Any

from failsoft.job_engine.errors import ConfigurationError

#: A ledger's name stands in the names of its queues.
NAME = re.compile(r"[a-z][a-z0-9-]{0,15}")
#: The longest namespace of a ledger's queues.
MAX_NAMESPACE = 32

#: Before each ledger; the URLs of several hosts have commas, too.
_BEGINS = re.compile(r",\s*(?=[^,=/?&\s]+=(?:sqlite|postgres))")


def read_ledgers(value: Any) -> Any:
    """Read `a=URL,b=URL`.

    Raises:
        ValueError: If it has another form, or a name or a URL is there twice.
    """
    if not isinstance(value, str):
        return value
    found: dict[str, str] = {}
    for each in filter(None, map(str.strip, _BEGINS.split(value))):
        name, _, url = each.partition("=")
        if not NAME.fullmatch(name) or not url.startswith(("sqlite", "postgres")):
            # A URL may hold a password.
            raise ValueError(
                "expected ledgers like a=postgresql://user@host/a,b=postgresql://user@host/b, with "
                "names of 1 to 16 lower-case letters, digits or `-`, got something else at "
                f"{name[:32]!r}"
            )
        if name in found or url in found.values():
            raise ValueError(f"expected every ledger once, got {name} or its URL twice")
        found[name] = url
    return found


def namespace_of(namespace: str, ledger: str) -> str:
    """Return the namespace of a ledger's queues: a broker's belongs to one ledger.

    Raises:
        ValueError: It is too long.
    """
    joined = f"{namespace}-{ledger}" if namespace else ledger
    if len(joined) > MAX_NAMESPACE:
        raise ValueError(
            f"expected FAILSOFT_NAMESPACE and the name of each ledger within {MAX_NAMESPACE} "
            f"characters together, got {joined!r}"
        )
    return joined


def expect_one(ledgers: dict[str, str], name: str) -> None:
    """Refuse to open a ledger where there are several and none is named.

    Raises:
        ConfigurationError: The message says how one is named.
    """
    if ledgers and not name:
        raise ConfigurationError(
            f"expected one of the ledgers of FAILSOFT_LEDGERS ({', '.join(ledgers)}), got none "
            "named; write `failsoft --ledger NAME ...`, or set FAILSOFT_LEDGER_NAME"
        )
