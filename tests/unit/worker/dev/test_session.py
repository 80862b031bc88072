"""`failsoft dev` forks its workers from a template while that has loaded what would be loaded."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.dev.session import DevSession
from failsoft.worker.supervision.template import WorkerTemplate


@pytest.fixture
def template() -> Iterator[WorkerTemplate]:
    """One that has loaded, and forks nothing."""
    ours, theirs = socket.socketpair()
    waits = (sys.executable, "-c", "import time; time.sleep(3600)")
    with theirs, subprocess.Popen(waits) as process:
        theirs.sendall(b"l")
        found = WorkerTemplate(ours, process.pid)
        yield found
        found.close()


@pytest.mark.parametrize(
    ("changed", "is_left"), [("/srv/shop/jobs.py", True), (json.__file__, False)]
)
def test_a_change_of_what_the_template_has_loaded_ends_it(
    template: WorkerTemplate, changed: str, is_left: bool, tmp_path: Path
) -> None:
    settings = load_settings(
        _env_file=None, ledger_url=f"sqlite:///{tmp_path}/ledger.db", engines="ledger"
    )
    session = DevSession(settings, {}, (), watch=(), ready=lambda pids: None, template=template)

    session._code_changed([changed])
    session._await_template()

    assert (template.handed_over() is not None) is is_left
