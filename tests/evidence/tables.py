"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; numbers stand at the right."""
    lines = [list(map(_text, row)) for row in rows]
    right = [all(_is_number(line[place]) for line in lines) for place in range(len(head))]
    rule = ["---:" if each else "---" for each in right]
    return "\n".join(f"| {' | '.join(each)} |" for each in (head, rule, *lines))


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").isdigit()
