"""A process that forks the children of attempts has imported what each of them needs."""

import subprocess
import sys
from contextlib import closing

import pytest

from failsoft.ledger.database.database import Database, driver_modules

CONNECT = """
import importlib, sys
import failsoft.worker.attempts.child
for name in sys.argv[2:]:
    importlib.import_module(name)
before = set(sys.modules)
from failsoft.ledger import Database
from sqlalchemy import text
assert Database(sys.argv[1]).read(lambda c: c.execute(text("SELECT 1")).scalar()) == 1
print(*sorted(set(sys.modules) - before))
"""


def test_connecting_to_the_ledger_imports_nothing_more(ledger_url: str) -> None:
    with closing(Database(ledger_url)) as database:
        database.make_file()
    assert newly_imported(ledger_url, *driver_modules(ledger_url)) == []


@pytest.mark.long
def test_it_would_import_the_driver_otherwise(postgres_url: str) -> None:
    assert "psycopg" in newly_imported(postgres_url)


def newly_imported(*arguments: str) -> list[str]:
    words = [sys.executable, "-c", CONNECT, *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
