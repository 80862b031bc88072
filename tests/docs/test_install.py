"""The page that says how Failsoft is installed names every extra that there is."""

import re
import tomllib

from tests.docs.paths import ROOT

ROW = re.compile(r"^\| (`[^|]*) \|", re.MULTILINE)


def test_every_extra_has_its_row_and_no_row_is_left_over() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    rows = ROW.findall((ROOT / "docs" / "how-to" / "install.md").read_text())

    named = {name for row in rows for name in re.findall(r"`([\w-]+)`", row)}
    assert named == set(project["optional-dependencies"])
