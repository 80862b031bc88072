"""What would be published: complete, of one version, and what its description says."""

import re
import tarfile
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from tests.integration.test_distribution import ROOT
from tests.release.conftest import release_tool

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

#: The folder of each member; the first is the distribution that has the others.
MEMBERS = (
    ROOT,
    *(
        path.parent
        for folder in ("packages", "engines", "apps")
        for path in sorted((ROOT / folder).glob("*/pyproject.toml"))
    ),
)
#: Nothing else may be in a wheel, besides its metadata.
PACKAGE = re.compile(r"failsoft/.+")
#: Of files that a program reads at run time, and of code.
SUFFIXES = frozenset({".py", ".typed", ".html", ".css", ".js", ".svg", ".mako"})
#: How the names begin of what goes with others' files: their licences, and where they are from.
OF_OTHERS = ("LICENSE-", "VENDORED")


def is_ours(name: str) -> bool:
    """Whether a file may stand in a wheel: of the package, no test, nothing left over."""
    if "/template/" in name:  # of what `failsoft new` and `failsoft engines new` write, tests, too
        return name.startswith("failsoft/worker/")
    expected = Path(name).suffix in SUFFIXES or Path(name).name.startswith(OF_OTHERS)
    return PACKAGE.fullmatch(name) is not None and expected and "tests" not in Path(name).parts


def wheels_of(folder: Path) -> Iterator[tuple[Path, zipfile.ZipFile, Message]]:
    for path in sorted(folder.glob("*.whl")):
        archive = zipfile.ZipFile(path)
        (name,) = [each for each in archive.namelist() if each.endswith(".dist-info/METADATA")]
        yield path, archive, Parser().parsestr(archive.read(name).decode())


def test_every_member_is_built_in_both_forms(distributions: Path) -> None:
    assert len(list(distributions.glob("*.whl"))) == len(MEMBERS)
    assert len(list(distributions.glob("*.tar.gz"))) == len(MEMBERS)


def test_the_index_takes_each(distributions: Path) -> None:
    files = [str(path) for path in sorted(distributions.glob("*.[wt]*"))]

    checked = release_tool("twine", "check", "--strict", *files)

    assert checked.count("PASSED") == len(files)


def test_all_are_of_one_version_and_pin_one_another(distributions: Path) -> None:
    found = [metadata for _, _, metadata in wheels_of(distributions)]
    (version,) = {metadata["Version"] for metadata in found}
    ours = [
        requirement
        for metadata in found
        for requirement in metadata.get_all("Requires-Dist", ())
        if requirement.startswith("failsoft")
    ]

    loose = [each for each in ours if not re.search(rf"=={re.escape(version)}(;|$)", each)]
    # An extra of one's own has no version.
    assert [each for each in loose if not each.startswith("failsoft[")] == []
    assert len(ours) > len(MEMBERS)


def test_each_says_what_it_is_and_under_which_licence(distributions: Path) -> None:
    for path, archive, metadata in wheels_of(distributions):
        assert metadata["Summary"], path
        assert metadata["License-Expression"] == "Apache-2.0", path
        assert metadata["Requires-Python"] == ">=3.11", path
        assert "Typing :: Typed" in metadata.get_all("Classifier", ()), path
        assert str(metadata.get_payload()).strip(), path
        assert archive.testzip() is None


def test_a_wheel_has_its_package_and_nothing_else(distributions: Path) -> None:
    strange = []
    for path, archive, _ in wheels_of(distributions):
        names = [each for each in archive.namelist() if ".dist-info/" not in each]
        strange += [f"{path.name}: {each}" for each in names if not is_ours(each)]
        if names:
            assert any(each.endswith("/py.typed") for each in names), path

    assert strange == []


def test_a_source_distribution_builds_without_the_checkout(distributions: Path) -> None:
    for path in distributions.glob("*.tar.gz"):
        with tarfile.open(path) as archive:
            inside = {name.partition("/")[2] for name in archive.getnames()}
        assert {"pyproject.toml", "README.md", "PKG-INFO"} <= inside, path
