"""The doctor's idea of what is supported is that of the packages themselves."""

import re
from importlib.metadata import requires

import pytest

from failsoft.dispatcher.plugins.plugin import Supported
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.doctor.version_checks import SUPPORTED, look_at_versions

MEMBERS = ("failsoft-queue", "failsoft-dispatcher", "failsoft-ledger")
RQ = Supported("rq", (3,), 4)


def test_the_supported_versions_are_those_that_the_packages_require() -> None:
    required = {
        re.sub(r"\[.*?\]", "", line).replace(" ", "")
        for member in MEMBERS
        for line in requires(member) or ()
    }

    for each in SUPPORTED:
        name, bounds = each.name, str(each).removeprefix(each.name)
        assert {f"{name}{bounds}", name + ",".join(reversed(bounds.split(",")))} & required


@pytest.mark.parametrize(
    ("found", "expected"),
    [("2.10.0", False), ("3.0.0", True), ("3.9", True), ("4.0.0", False), ("4.0.0rc1", False)],
)
def test_a_version_is_supported_or_not(found: str, expected: bool) -> None:
    assert RQ.includes(found) is expected


def test_a_minor_version_counts() -> None:
    dramatiq = Supported("dramatiq", (2, 2), 3)

    assert not dramatiq.includes("2.1.5")
    assert dramatiq.includes("2.10.0")


def test_what_is_installed_here_is_supported() -> None:
    assert {found.level.value for found in look_at_versions(load_settings())} == {"ok"}
