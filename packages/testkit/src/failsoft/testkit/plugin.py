"""What pytest loads of this distribution: the fixture `failsoft`, and nothing in other tests.

An entry point of the group `pytest11`. It imports no more of Failsoft than its own name until a
test requests the fixture.
"""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from failsoft.testkit.kit import Testkit

_MARKER = (
    "failsoft(mode, ledger, engines, jobs, start): how the fixture `failsoft` of a test is made; "
    "mode is manual, inline or real"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the settings of the fixture."""
    parser.addini(
        "failsoft_strict", "fail a test that leaves jobs behind, instead of a warning", "bool"
    )
    parser.addini(
        "failsoft_jobs", "modules whose jobs every test has, with their schedules", "linelist"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture(scope="session")
def _failsoft_servers() -> Iterator[None]:
    """Stop the servers that tests of mode `real` have started, with the session."""
    yield
    servers = sys.modules.get("failsoft.testkit.real.servers")
    if servers is not None:
        servers.close_servers()


@pytest.fixture
def failsoft(request: pytest.FixtureRequest, _failsoft_servers: None) -> "Iterator[Testkit]":
    """Give the test a Failsoft of its own; `dispatch_job` uses it meanwhile."""
    # Imported here: the plug-in is loaded in every run, and most tests request nothing of it.
    from failsoft.testkit.session import opened, options_of  # noqa: PLC0415 - see above

    marker = request.node.get_closest_marker("failsoft")
    options = options_of(
        () if marker is None else marker.args, {} if marker is None else marker.kwargs
    )
    modules = tuple(request.config.getini("failsoft_jobs"))
    strict = bool(request.config.getini("failsoft_strict"))
    with opened(options, modules=modules, strict=strict) as kit:
        yield kit
