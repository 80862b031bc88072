"""Write `docs/evidence.md` from the figures of the last runs: `python -m tests.evidence`."""

from tests.evidence.figures import FOLDER
from tests.evidence.page import page

PAGE = FOLDER.parent / "evidence.md"

if __name__ == "__main__":
    PAGE.write_text(page())
