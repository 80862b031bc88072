"""Where the stand-ins of the payment provider and the mail server keep what they got."""

import os
from pathlib import Path


def folder(name: str) -> Path:
    """Return a folder below `SHOP_FOLDER`, which is made if it is not there."""
    found = Path(os.environ.get("SHOP_FOLDER", ".failsoft")) / name
    found.mkdir(parents=True, exist_ok=True)
    return found
