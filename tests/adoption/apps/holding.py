"""What functions of a shim do whose first attempt lasts until its worker is killed."""

import os
from collections import Counter
from pathlib import Path
from threading import Event

#: The variable with the file that attempts are noted in.
LOG = "ADOPTED_LOG"


def attempt(name: str) -> str:
    """Note an attempt; return in all but the first."""
    log = Path(os.environ[LOG])
    with log.open("a") as opened:
        opened.write(f"{name}\n")
    if begun(log)[name] == 1:
        Event().wait()
    return f"{name} is done"


def begun(log: Path) -> Counter[str]:
    """Return how many attempts have begun, by name."""
    return Counter(log.read_text().split() if log.exists() else ())
