"""Which servers of PostgreSQL's protocol are refused, by what they say of themselves."""

import pytest

from failsoft.job_engine.errors import ConfigurationError
from failsoft.ledger.database.postgresql.distributed import refuse_distributed

POSTGRESQL = "PostgreSQL 18.1 on x86_64-pc-linux-gnu, compiled by gcc 12.2.0, 64-bit"
COCKROACHDB = "CockroachDB CCL v24.1.0 (x86_64-pc-linux-gnu, built 2024/05/15 21:28:29, go1.22.2)"
YUGABYTEDB = "PostgreSQL 11.2-YB-2.19.0.0-b0 on x86_64-pc-linux-gnu, compiled by clang 15.0.3"
USUAL = ("plpgsql", "pg_stat_statements", "postgis", "timescaledb")


@pytest.mark.parametrize(
    "version",
    [
        POSTGRESQL,
        "PostgreSQL 14.9 (Debian 14.9-1.pgdg120+1) on aarch64-unknown-linux-gnu",
        "PostgreSQL 16.4 on x86_64-pc-linux-gnu, compiled by Debian clang version 12.0.1, 64-bit",
    ],
)
def test_postgresql_is_taken_with_the_extensions_it_usually_has(version: str) -> None:
    refuse_distributed(version, USUAL)


@pytest.mark.parametrize(
    ("version", "extensions", "product", "reason"),
    [
        (COCKROACHDB, (), "CockroachDB", "advisory locks lock nothing"),
        (YUGABYTEDB, USUAL, "YugabyteDB", "clocks of several nodes"),
        (POSTGRESQL, ("plpgsql", "citus"), "Citus", "column that it distributes by"),
    ],
)
def test_a_distributed_one_is_refused_with_its_reason(
    version: str, extensions: tuple[str, ...], product: str, reason: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        refuse_distributed(version, extensions)

    message = str(refused.value)
    assert f"expected PostgreSQL itself for the ledger, got {product}: " in message
    assert reason in message
    assert "FAILSOFT_LEDGERS" in message
