"""`python -m tests.docs.citations`: print every citation that resolves to nothing; exit 1 if any.

Comments, docstrings and pages cite the rules, invariants, races, mutations and engine quirks of
`docs/explain/protocol.md`, the faults of `docs/evidence/faults.md`, the decisions of
`docs/decisions` and the pages of `docs`, each by its id. A number that belongs to a document
outside of the repository cannot be looked up: it is reported, too.
"""

import re
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Where citations are looked for.
CITING = ("packages", "engines", "apps", "tests", "bench", "docs")
KINDS = frozenset({".py", ".md", ".pml", ".txt", ".toml"})
#: The finder's own tests cite what does not exist.
LEFT_OUT = frozenset({"tests/docs/test_citations.py"})

#: What may stand between two words: spaces, and a line break in a comment or a docstring.
_GAP = r"(?:\s|\n\s*#:?)+"
#: `rule 7`, `rules 7 and 12`, `rules 1, 3 to 5`.
_RULES = re.compile(
    rf"\b[Rr]ules?{_GAP}(\d+(?:(?:,{_GAP}(?:and{_GAP})?|{_GAP}and{_GAP}|{_GAP}to{_GAP}|-)\d+)*)\b"
)
_RANGE = re.compile(rf"(\d+)(?:{_GAP}to{_GAP}|-)(\d+)")
_ID = re.compile(r"\b(?:[IMR][1-9]\d?|F\d{2}|(?:RQ|RS|DQ|MQ|ING|KA|OT|GN|DB)-\d{2})\b(?!\.\d)")
_DECISION = re.compile(rf"\b(?:[Dd]ecisions?{_GAP}|docs/decisions/)(\d{{4}})\b")
#: But not the target of a link, which may be relative.
_PAGE = re.compile(r"(?<!\]\()\bdocs/[\w./-]+\.md\b")
#: A section by its number, of a document that is not in the repository.
_SECTION = re.compile(
    r"\b(?:protocol|design|failures|features)(?:\.md)?,?\s+(?:section\s+)?\d+(?:\.\d+)*"
)

_HEADING = re.compile(r"^#{2,4} (Rule \d+|[IMR]\d+|[A-Z]{2,3}-\d{2})\b", re.MULTILINE)
_ROW = re.compile(r"^\| (M\d+|[A-Z]{2,3}-\d{2}) \|", re.MULTILINE)
_FAULT = re.compile(r"^#{2,4} (F\d{2})\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Citation:
    """An id that a line cites.

    Attributes:
        path: The file, from the root of the repository.
        line: The line's number, from 1.
        id: What it cites, as it is defined: `rule 7`, `R28`, `RQ-01`, `decision 0029`.
    """

    path: str
    line: int
    id: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.id}"


def ids_of(text: str) -> Iterator[tuple[int, str]]:
    """Return every id that a text cites, as it is defined, with the place where it stands."""
    for found in _RULES.finditer(text):
        yield from ((found.start(), f"rule {number}") for number in _numbers(found.group(1)))
    for found in _DECISION.finditer(text):
        yield found.start(), f"decision {found.group(1)}"
    for pattern in (_ID, _PAGE, _SECTION):
        yield from ((found.start(), found.group()) for found in pattern.finditer(text))


def _numbers(text: str) -> Iterator[int]:
    for first, last in _RANGE.findall(text):
        yield from range(int(first), int(last) + 1)
    yield from (int(number) for number in re.findall(r"\d+", _RANGE.sub("", text)))


def citations_in(path: str, text: str) -> Iterator[Citation]:
    """Return every citation of a file's text, in the text's order."""
    for start, each in sorted(ids_of(text)):
        yield Citation(path, text.count("\n", 0, start) + 1, each)


def unresolved(citations: Iterable[Citation], defined: Collection[str]) -> list[Citation]:
    """Return those that nothing defines."""
    return [each for each in citations if each.id not in defined]


def defined_in_protocol(text: str) -> list[str]:
    """Return the ids that the page of the protocol defines, each as often as it does."""
    found = [*_HEADING.findall(text), *_ROW.findall(text)]
    return [each.replace("Rule", "rule") for each in found]


def defined(root: Path = ROOT) -> frozenset[str]:
    """Return every id that something in the repository defines."""
    docs = root / "docs"
    decisions = (page.name[:4] for page in (docs / "decisions").glob("[0-9]*.md"))
    pages = (page.relative_to(root).as_posix() for page in docs.rglob("*.md"))
    return frozenset(
        (
            *defined_in_protocol((docs / "explain" / "protocol.md").read_text()),
            *_FAULT.findall((docs / "evidence" / "faults.md").read_text()),
            *(f"decision {number}" for number in decisions),
            *pages,
        )
    )


def citations(root: Path = ROOT) -> Iterator[Citation]:
    """Return every citation of the repository."""
    for folder in CITING:
        for path in sorted((root / folder).rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.suffix in KINDS and path.is_file() and name not in LEFT_OUT:
                yield from citations_in(name, path.read_text())


def main() -> int:
    """Print what does not resolve; return the exit code."""
    missing = unresolved(citations(), defined())
    for each in missing:
        sys.stderr.write(f"{each}: expected an id that docs/ defines, got one that nothing does\n")
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
