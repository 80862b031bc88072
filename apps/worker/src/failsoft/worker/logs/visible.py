"""Text for people: nothing in it can move a cursor, reorder a line or forge one.

Payloads, results, errors, names, notes and what servers answer come from outside. A terminal obeys
the control characters in them, and shows a line whose order a bidirectional mark has changed.
"""

import unicodedata

from failsoft.job_engine.values.redaction import redacted

#: Stands before every line of a block but the first: no line of a block begins like a record.
MARGIN = "  | "


def visible(text: str) -> str:
    r"""Return text on one line, every character that is not shown as itself escaped.

    These are C0, DEL and C1, bidirectional and other format characters, separators of lines and
    paragraphs, lone surrogates, private and unassigned characters: what `str.isprintable` refuses,
    but for the spaces of other scripts. The escapes are Python's, as in `\x1b`.
    """
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


def visible_block(text: str) -> str:
    """Return text of several lines, each of them `visible`, all but the first behind a margin.

    For tracebacks and the logs of servers, which are unreadable on one line.
    """
    # Only "\n" ends a line here: the others of `splitlines` are escaped.
    first, *others = text.rstrip("\n").expandtabs(4).split("\n")
    return "\n".join([visible(first), *(MARGIN + visible(line) for line in others)])


def described(error: BaseException) -> str:
    """Return an error as a command shows it: its kind, and its text without passwords."""
    return f"{type(error).__name__}: {visible_block(redacted(str(error)))}"


def _shown(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode("ascii")
