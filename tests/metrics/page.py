"""The list in docs/how-to/metrics.md, made from the catalogue: `python -m tests.metrics.page`."""

from pathlib import Path

from failsoft.telemetry.catalogue import METRICS

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "metrics.md"
BEGIN, END = "<!-- the list: python -m tests.metrics.page -->", "<!-- the end of the list -->"


def table() -> str:
    """Return the list as Markdown."""
    lines = ["| metric | type | labels | what it says | from |", "|---|---|---|---|---|"]
    for metric in METRICS.values():
        labels = ", ".join(metric.labels)
        cells = (f"`{metric.family}`", str(metric.kind), labels, metric.meaning, metric.source)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def with_table(text: str) -> str:
    """Return the page with the list as it is now."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
