"""Write the page of evidence, the chart and the figures of pages: `python -m tests.evidence`."""

from tests.evidence.blocks import PAGES, filled
from tests.evidence.charts import charts
from tests.evidence.figures import FOLDER
from tests.evidence.page import page

PAGE = FOLDER / "README.md"

if __name__ == "__main__":
    PAGE.write_text(page())
    for path, text in charts():
        path.write_text(text)
    for path in PAGES:
        path.write_text(filled(path.read_text()))
