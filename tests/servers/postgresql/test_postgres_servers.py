"""A replica, a pair that changes places, and a pooler do what the tests of faults expect."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
import pytest
from sqlalchemy import create_engine, text

from tests.servers.postgresql.pgbouncer import PgBouncer
from tests.servers.postgresql.postgres import Postgres
from tests.servers.postgresql.postgres_pair import PostgresPair
from tests.servers.processes import PATIENCE, wait_until

PORT = "SELECT inet_server_port()"


def test_a_replica_has_what_its_primary_has_and_takes_no_writes(
    postgres_pair: PostgresPair,
) -> None:
    primary, replica = postgres_pair.primary, postgres_pair.replica
    execute(primary, "CREATE TABLE replicated AS SELECT 7 AS n")

    primary.wait_for(replica)

    assert execute(replica, "SELECT n FROM replicated") == (7,)
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        execute(replica, "DELETE FROM replicated")
    assert (primary.is_replica, replica.is_replica) == (False, True)
    execute(primary, "DROP TABLE replicated")


def test_an_address_of_both_finds_the_one_that_was_promoted(postgres_pair: PostgresPair) -> None:
    engine = create_engine(postgres_pair.url())
    before = postgres_pair.port

    postgres_pair.kill()
    postgres_pair.fail_over()

    with engine.connect() as connection:
        assert connection.execute(text(PORT)).scalar() == postgres_pair.port != before
    engine.dispose()


def test_places_that_are_changed_in_order_lose_nothing(postgres_pair: PostgresPair) -> None:
    execute(postgres_pair.primary, "CREATE TABLE kept AS SELECT 7 AS n")

    postgres_pair.switch_over()

    assert execute(postgres_pair.primary, "SELECT n FROM kept") == (7,)
    assert postgres_pair.replica.is_replica
    execute(postgres_pair.primary, "DROP TABLE kept")


def test_a_primary_with_a_synchronous_replica_commits_nothing_without_it(
    postgres_pair: PostgresPair,
) -> None:
    postgres_pair.synchronous(on=True)
    execute(postgres_pair.primary, "CREATE TABLE on_both AS SELECT 7 AS n")
    postgres_pair.replica.freeze()

    with session(postgres_pair.primary) as client, ThreadPoolExecutor(1) as pool:
        dropping = pool.submit(client.execute, "DROP TABLE on_both")
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        wait_until(lambda: postgres_pair.primary.ask(waits), PATIENCE, "the commit waits")
        assert not dropping.done()

        postgres_pair.replica.thaw()
        dropping.result(PATIENCE)


def test_a_server_that_is_read_only_refuses_writes_in_open_sessions(postgres: Postgres) -> None:
    with session(postgres) as opened:
        opened.execute("SELECT 1")
        postgres.read_only(on=True)

        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            opened.execute("CREATE TABLE refused (n int)")

        postgres.read_only(on=False)
        opened.execute("CREATE TEMPORARY TABLE taken (n int)")


def test_a_pooler_gives_the_session_of_one_client_to_the_next(pgbouncer: PgBouncer) -> None:
    pgbouncer.set(default_pool_size="1")
    statement: LiteralString = "SELECT pg_backend_pid()"

    with session(pgbouncer) as first, session(pgbouncer) as second:
        pids = {each.execute(statement).fetchone() for each in (first, second, first)}

    assert len(pids) == 1


def test_a_pooler_in_session_mode_gives_each_client_a_session(pgbouncer: PgBouncer) -> None:
    pgbouncer.set(pool_mode="session")
    statement: LiteralString = "SELECT pg_backend_pid()"

    with session(pgbouncer) as first, session(pgbouncer) as second:
        pids = {each.execute(statement).fetchone() for each in (first, second, first)}

    assert len(pids) == 2


@pytest.mark.parametrize("fault", [PgBouncer.kill, PgBouncer.freeze])
def test_a_pooler_that_is_broken_serves_again_when_it_is_healed(
    pgbouncer: PgBouncer, fault: Any
) -> None:
    fault(pgbouncer)
    with pytest.raises(psycopg.OperationalError), session(pgbouncer):
        pass

    pgbouncer.heal()

    assert execute(pgbouncer, "SELECT 1") == (1,)


def test_clients_of_a_pooler_stay_while_the_server_behind_it_changes(
    pgbouncer: PgBouncer, postgres_pair: PostgresPair
) -> None:
    with session(pgbouncer) as client:
        client.execute(PORT)

        pgbouncer.point_at(postgres_pair.port)

        assert client.execute(PORT).fetchone() == (postgres_pair.port,)


@contextmanager
def session(server: Postgres | PgBouncer) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    address = server.url().replace("+psycopg", "")
    with psycopg.connect(address, autocommit=True, connect_timeout=2) as connection:
        yield connection


def execute(server: Postgres | PgBouncer, statement: LiteralString) -> tuple[Any, ...] | None:
    with session(server) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone() if cursor.description else None
