"""The chart of the systems as SVG, from the JSON of a run: one file for each theme.

Written by hand, for it is a few rectangles and texts: the same figures give the same bytes, and no
font or library is needed to make it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH, ROW, HEAD, FOOT = 800, 26, 58, 30
LABEL, BAR = 270, 440


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of one theme.

    Attributes:
        name: Of the file.
        ground: Behind everything.
        text: Of what is read.
        quiet: Of what is read second.
        ours: The bars of Failsoft.
        theirs: The bars of the others.
    """

    name: str
    ground: str
    text: str
    quiet: str
    ours: str
    theirs: str


THEMES = (
    Theme("light", "#ffffff", "#1f2328", "#59636e", "#0969da", "#afb8c1"),
    Theme("dark", "#0d1117", "#f0f6fc", "#9198a1", "#4493f8", "#59636e"),
)


def chart(document: Mapping[str, Any], theme: Theme) -> str:
    """Return the SVG of the jobs that one worker process of each system runs in a second."""
    systems = sorted(
        (each for each in document["systems"] if _is_shown(each)),
        key=lambda each: -each["figures"]["jobs_per_s"][0],
    )
    height = HEAD + ROW * len(systems) + FOOT
    title = "Recorded no-op jobs a second, one worker process"
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
            f' viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}"'
            ' font-family="system-ui, sans-serif" font-size="13">'
        ),
        f'<rect width="{WIDTH}" height="{height}" fill="{theme.ground}"/>',
        f'<text x="16" y="26" font-size="16" font-weight="600" fill="{theme.text}">{title}</text>',
        f'<text x="16" y="46" fill="{theme.quiet}">{_subtitle(document)}</text>',
        *_bars(systems, theme),
        (
            f'<text x="16" y="{height - 10}" font-size="11" fill="{theme.quiet}">'
            "* keeps every job and its outcome in a database, committed to disk</text>"
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _bars(systems: Sequence[Mapping[str, Any]], theme: Theme) -> Iterator[str]:
    longest = max((each["figures"]["jobs_per_s"][0] for each in systems), default=1)
    for place, system in enumerate(systems):
        rate, top = system["figures"]["jobs_per_s"][0], HEAD + ROW * place
        length = max(round(BAR * rate / longest, 1), 1)
        ours = system["name"].startswith("Failsoft")
        colour, weight = (theme.ours, 600) if ours else (theme.theirs, 400)
        name = system["name"] + ("*" if system["loses"].startswith("nothing") else "")
        middle = top + ROW / 2 + 4.5
        yield (
            f'<text x="{LABEL}" y="{middle}" text-anchor="end" font-weight="{weight}"'
            f' fill="{theme.text}">{escape(name)}</text>'
        )
        yield (
            f'<rect x="{LABEL + 10}" y="{top + 4}" width="{length}" height="{ROW - 8}" rx="2"'
            f' fill="{colour}"/>'
        )
        yield (
            f'<text x="{LABEL + 16 + length}" y="{middle}" fill="{theme.text}">{rate:,.0f}</text>'
        )


def _is_shown(system: Mapping[str, Any]) -> bool:
    """Return whether a system has the figure, by one process as the others have it."""
    return "jobs_per_s" in system["figures"] and not system["name"].endswith("processes")


def _subtitle(document: Mapping[str, Any]) -> str:
    cores = document["machine"]["cores"]
    return f"{cores} shared cores, load {document['load'][0]:g}; {_rounds(document)}"


def _rounds(document: Mapping[str, Any]) -> str:
    return "one short round" if document.get("quick") else "median of the rounds, in turn"
