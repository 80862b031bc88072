"""JSON values as pieces of text with a kind each, for a page to colour; no markup is made here."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from failsoft.console.payloads.policy import DOTS, Number
from failsoft.job_engine.values.visible import visible, visible_block

#: So much of a value is shown at most, in characters, and so deep.
MOST_CHARS = 64 * 1024
DEEPEST = 32

_INDENT = "  "


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of text.

    Attributes:
        kind: `name`, `text`, `number`, `word` for true, false and null, `mask`, `mark`, or `cut`.
        text: What is shown, not escaped yet.
    """

    kind: str
    text: str


def pieces(value: Any) -> list[Piece]:
    """Return a value as JSON with indents, cut where it is too long or too deep."""
    found, length = list[Piece](), 0
    for piece in _written(value, 0):
        length += len(piece.text)
        if length > MOST_CHARS:
            keep = len(piece.text) - (length - MOST_CHARS)
            found.append(Piece(piece.kind, piece.text[:keep]))
            found.append(Piece("cut", f" … cut after {MOST_CHARS // 1024} KiB"))
            break
        found.append(piece)
    return found


def brief(value: Any, most: int = 80) -> str:
    """Return a value on one line, cut after so many characters."""
    text, length = list[str](), 0
    for piece in _written(value, 0):
        part = " ".join(piece.text.split()) if piece.kind == "mark" else piece.text
        text.append(f"{part} " if part in {":", ","} else part)
        length += len(text[-1])
        if length > most:
            break
    line = "".join(text)
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _written(value: Any, depth: int) -> Iterator[Piece]:
    if isinstance(value, dict | list):
        if depth >= DEEPEST:
            yield Piece("cut", "…")
        else:
            yield from _nested(value, depth)
    elif isinstance(value, Number) or (
        isinstance(value, int | float) and not isinstance(value, bool)
    ):
        yield Piece("number", str(value))
    elif isinstance(value, str):
        yield Piece("mask", value) if value == DOTS else Piece("text", _quoted(value))
    else:
        yield Piece("word", json.dumps(value, default=str))


def _nested(value: Any, depth: int) -> Iterator[Piece]:
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    if not value:
        yield Piece("mark", opening + closing)
        return
    names = list(value) if isinstance(value, dict) else [None] * len(value)
    items = value.values() if isinstance(value, dict) else value
    lead = f"{opening}\n{_INDENT * (depth + 1)}"
    for name, item in zip(names, items, strict=True):
        yield Piece("mark", lead)
        if name is not None:
            yield Piece("name", _quoted(str(name)))
            yield Piece("mark", ": ")
        yield from _written(item, depth + 1)
        lead = f",\n{_INDENT * (depth + 1)}"
    yield Piece("mark", f"\n{_INDENT * depth}{closing}")


def _quoted(text: str) -> str:
    return visible(json.dumps(text[: MOST_CHARS + 1], ensure_ascii=False))


def block(text: str) -> str:
    """Return a text of several lines with every character that is not printed made visible."""
    cut = text[:MOST_CHARS]
    return visible_block(cut).replace("\n  | ", "\n") + (" …" if len(text) > MOST_CHARS else "")
