"""Text for people, escaped so that it cannot move a cursor, reorder or forge a line.

Payloads, results, errors, names, notes and the answers of servers come from outside. A terminal
executes the control characters in them, and reorders a line with a bidirectional mark.
"""

import unicodedata

#: Before every line of a block but the first, so that no line of a block begins like a record.
MARGIN = "  | "


def visible(text: str) -> str:
    r"""Return text on one line, with every character escaped that is not printed as itself.

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


def _shown(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode("ascii")
