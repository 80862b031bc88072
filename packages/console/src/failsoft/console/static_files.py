"""The console's own files, served under names that hold the hash of what is in them."""

import hashlib
import mimetypes
from functools import cache
from importlib.resources import files
from typing import NamedTuple

_SUFFIXES = (".css", ".js", ".svg")
#: A name never stands for other content, so a browser may keep it for a year.
CACHE_CONTROL = "public, max-age=31536000, immutable"


class StaticFile(NamedTuple):
    """A file as it is served."""

    name: str
    content: bytes
    media_type: str


@cache
def static_files() -> dict[str, StaticFile]:
    """Return every file by its own name, as `console.css`, without its folder."""
    root = files("failsoft.console") / "static"
    found = [*root.iterdir(), *(root / "vendor").iterdir()]
    wanted = (each for each in found if each.name.endswith(_SUFFIXES))
    return {each.name: _served(each.name, each.read_bytes()) for each in wanted}


@cache
def by_served_name() -> dict[str, StaticFile]:
    """Return every file by the name that it is served under."""
    return {each.name: each for each in static_files().values()}


def _served(name: str, content: bytes) -> StaticFile:
    stem, _, suffix = name.rpartition(".")
    digest = hashlib.sha256(content).hexdigest()[:12]
    media_type = mimetypes.types_map.get(f".{suffix}", "application/octet-stream")
    return StaticFile(f"{stem}.{digest}.{suffix}", content, media_type)
