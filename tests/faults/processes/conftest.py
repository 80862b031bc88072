"""What the tests of processes share."""

import pytest

from tests.faults.support import through_proxy
from tests.servers.postgresql.postgres import Postgres
from tests.servers.proxy import TcpProxy


@pytest.fixture
def ledger_by_proxy(
    postgres: Postgres, ledger_url: str, proxy_to_postgres: TcpProxy
) -> dict[str, str]:
    return {"FAILSOFT_LEDGER_URL": through_proxy(ledger_url, postgres.port, proxy_to_postgres)}
