"""What the fork server of attempts makes before it forks the first one."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
from failsoft.worker.attempts.fork_server_process import prepared
from failsoft.worker.configuration.settings import load_settings
from failsoft.ledger.database import compiled
ledgers = tuple(prepared(load_settings()))
print(len(ledgers), len(compiled._prepared_of))
"""
FOUR = "a=sqlite:///a.db,b=sqlite:///b.db,c=postgresql://nobody@127.0.0.1:1/c,d=sqlite:///d.db"


@pytest.mark.parametrize(
    ("env", "ledgers", "kinds"),
    [
        ({"FAILSOFT_LEDGER_URL": "sqlite:///ledger.db"}, 1, 1),
        # Nothing is connected to: there is no server.
        ({"FAILSOFT_LEDGER_URL": "postgresql://nobody@127.0.0.1:1/none"}, 1, 1),
        ({"FAILSOFT_LEDGERS": FOUR}, 4, 2),
    ],
    ids=["sqlite", "postgresql", "several"],
)
def test_statements_are_compiled_once_for_each_kind_of_ledger(
    env: dict[str, str], ledgers: int, kinds: int, tmp_path: os.PathLike[str]
) -> None:
    done = made_with(env, tmp_path)

    found, statements = map(int, done.stdout.split())
    assert found == ledgers, done.stderr
    assert statements // kinds >= 5


def test_a_ledger_that_cannot_be_opened_is_left_to_the_child(tmp_path: os.PathLike[str]) -> None:
    done = made_with({}, tmp_path)

    assert done.stdout.split() == ["0", "0"], done.stderr


def made_with(env: dict[str, str], folder: os.PathLike[str]) -> "subprocess.CompletedProcess[str]":
    """Prepare the children of attempts in a process of its own, in an empty folder."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PATH": os.environ["PATH"], "FAILSOFT_ENGINES": "ledger", **env},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
