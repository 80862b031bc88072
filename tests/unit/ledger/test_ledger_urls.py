"""What a ledger's URL says is obeyed, whichever driver it names, or refused by name."""

import subprocess
import sys

import pytest

from failsoft.job_engine.errors import ConfigurationError
from failsoft.ledger import Database
from failsoft.ledger.database.database import ledger_url

POSTGRESQL = "postgresql+psycopg://me:secret@host:5433/shop"


@pytest.mark.parametrize(
    "scheme",
    [
        *("postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"),
        *("postgresql+asyncpg", "postgresql+pg8000", "postgresql+psycopg_async"),
    ],
)
def test_a_url_may_name_the_applications_driver(scheme: str) -> None:
    url = ledger_url(f"{scheme}://me:secret@host:5433/shop?application_name=shop")

    shown = url.render_as_string(hide_password=False)
    assert shown == f"{POSTGRESQL}?application_name=shop"


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+pysqlite", "sqlite+aiosqlite"])
def test_so_may_one_of_sqlite(scheme: str) -> None:
    assert str(ledger_url(f"{scheme}:///shop.db")) == "sqlite+pysqlite:///shop.db"


def test_what_asyncpg_calls_ssl_is_sslmode() -> None:
    url = ledger_url("postgresql+asyncpg://host/shop?ssl=require&connect_timeout=7")

    assert dict(url.query) == {"connect_timeout": "7", "sslmode": "require"}


def test_several_hosts_may_stand_behind_any_driver() -> None:
    url = ledger_url("postgresql+asyncpg://a,b:5433/shop")

    assert url.query["host"] == ("a:5432", "b:5433")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sslmod=require", "got sslmod; did you mean sslmode?"),
        ("ssl=require", "got ssl; did you mean"),
        ("prepared_statement_cache_size=0", "got prepared_statement_cache_size; take it out"),
        ("client_encoding=latin1", "got latin1; take it out"),
    ],
)
def test_a_parameter_that_cannot_be_obeyed_is_refused_by_name(query: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Database(f"{POSTGRESQL}?{query}")

    assert expected in str(refused.value)
    assert "FAILSOFT_LEDGER_URL or DATABASE_URL" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_another_system_than_posix_is_refused_before_anything_else_fails() -> None:
    code = "import os; os.name = 'nt'; import failsoft.job_engine"

    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: expected a POSIX system, such as Linux or macOS, got one")
