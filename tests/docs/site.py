"""python -m tests.docs.site: the pages of the site, in build/docs.

They are those of docs/, with the pages of the repository that they link to; a link to what is no
page, as to a test, is left as its text.
"""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE, TARGET = ROOT / "docs", ROOT / "build" / "docs"
#: Where the pages from outside of docs/ stand in the site.
OUTSIDE = "repository"
#: What pages show beside text, and what the site adds to its theme.
ASSETS = frozenset({".svg", ".png", ".css", ".js"})

_LINK = re.compile(r"\[([^\]\[]*)\]\(([^)\s:#]+)(#[^)\s]*)?\)")
_PARAGRAPHS = re.compile(r"\n\n+")
_FENCE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)


def place(page: Path) -> Path:
    """Return where a page of the repository stands in the site."""
    if page.is_relative_to(SOURCE):
        return page.relative_to(SOURCE)
    return Path(OUTSIDE) / page.relative_to(ROOT)


def linked(text: str, page: Path) -> Iterator[Path]:
    """Yield the pages that a page links to."""
    for _, target, _ in _LINK.findall(text):
        found = (page.parent / target).resolve()
        if found.suffix == ".md" and found.is_relative_to(ROOT) and found.exists():
            yield found


def rewritten(text: str, page: Path) -> str:
    """Return a page with links that lead to where the others stand in the site."""

    def link(match: re.Match[str]) -> str:
        words, target, anchor = match.group(1), match.group(2), match.group(3) or ""
        found = (page.parent / target).resolve()
        if found.suffix == ".md":
            return f"[{words}]({os.path.relpath(place(found), place(page).parent)}{anchor})"
        return match.group(0) if found.is_relative_to(SOURCE) and found.is_file() else words

    # What stands in a block of code is code.
    parts = _FENCE.split(text)
    return "".join(each if index % 2 else _LINK.sub(link, each) for index, each in enumerate(parts))


def for_models(written: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Yield the two files for language models: the list of all pages, and all of them as one."""
    texts = {place(page): (TARGET / place(page)).read_text() for page in sorted(written)}
    front = next(iter(_PARAGRAPHS.split(texts[Path("index.md")])[1:2]))
    lines = ["# Failsoft", "", *(f"> {line}" for line in front.splitlines()), ""]
    for path, text in texts.items():
        title = text.partition("\n")[0].lstrip("# ")
        lines.append(f"- [{title}]({path.as_posix()})")
    yield "llms.txt", "\n".join(lines) + "\n"
    yield "llms-full.txt", "\n\n".join(texts.values())


def main() -> None:
    """Write all pages anew, what they show beside text, and the files for language models."""
    shutil.rmtree(TARGET, ignore_errors=True)
    waiting = sorted(SOURCE.rglob("*.md"))
    written = set[Path]()
    while waiting:
        page = waiting.pop()
        if page in written:
            continue
        written.add(page)
        text = page.read_text()
        path = TARGET / place(page)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rewritten(text, page))
        waiting += linked(text, page)
    for each in SOURCE.rglob("*"):
        if each.suffix in ASSETS:
            (TARGET / place(each)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(each, TARGET / place(each))
    for name, text in for_models(written):
        (TARGET / name).write_text(text)


if __name__ == "__main__":
    main()
