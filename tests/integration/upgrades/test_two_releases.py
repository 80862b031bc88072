"""F47: code of one release on the ledger of the next, and the other way round."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from failsoft.job_engine.errors import LedgerError, LedgerSchemaError
from failsoft.ledger import Database, check
from failsoft.ledger.schema.revision import REVISION, Standing, standing
from failsoft.ledger.upgrade.run import upgrade
from failsoft.ledger.upgrade.scripts import Migration, load
from tests.integration.upgrades.load_programs import Load
from tests.integration.upgrades.next_release import ADDITIVE, BREAKING, TABLES
from tests.servers.processes import PATIENCE, wait_until

pytestmark = pytest.mark.fault("F47")


def test_older_code_works_on_a_ledger_that_has_more(ledger_url: str) -> None:
    with closing(Database(ledger_url)) as database:
        upgrade(database, migrations=ADDITIVE)

        with Load(database) as load:
            wait_until(lambda: len(load.accepted) > 50 or load.errors, PATIENCE, "some jobs")

        assert load.errors == []


def test_an_upgrade_by_older_code_leaves_a_ledger_that_has_more_as_it_is(ledger_url: str) -> None:
    with closing(Database(ledger_url)) as database:
        upgrade(database, migrations=ADDITIVE)

        done = upgrade(database)

        assert (done.before, done.revision, done.minimum) == ("0099", "0099", load()[-1].finished)


def test_older_code_refuses_a_ledger_that_it_cannot_live_with(ledger_url: str) -> None:
    with closing(Database(ledger_url)) as database:
        upgrade(database, migrations=ADDITIVE)
        upgrade(database, migrations=BREAKING)

        for refused in (check, upgrade):
            with pytest.raises(LedgerSchemaError, match=r"got 0100.*upgrade this installation"):
                refused(database)


def test_older_code_refuses_a_ledger_that_is_on_the_way_to_what_it_cannot_live_with(
    ledger_url: str,
) -> None:
    with closing(Database(ledger_url)) as database:
        upgrade(database, migrations=ADDITIVE)
        with pytest.raises(LedgerError, match="failed unexpectedly: ZeroDivisionError"):
            upgrade(database, migrations=interrupted(BREAKING))

        assert database.read(standing) == Standing("0099", "0100")
        for refused in (check, upgrade):
            with pytest.raises(LedgerSchemaError, match="needs code of 0100 at least"):
                refused(database)
        done = upgrade(database, migrations=BREAKING)
        assert (done.before, done.revision) == ("0099", "0100")


def test_a_ledger_from_before_minimums_gets_its_own(ledger_url: str) -> None:
    with closing(Database(ledger_url)) as database:
        upgrade(database)
        database.write(lambda c: c.execute(text("DELETE FROM failsoft_info WHERE key != 'host'")))
        check(database)

        done = upgrade(database)

        assert (done.before, done.revision, done.minimum) == (
            REVISION,
            REVISION,
            load()[-1].minimum,
        )
        assert database.read(standing) == Standing(REVISION, load()[-1].minimum)


def test_a_newer_ledger_without_a_minimum_is_refused(ledger_url: str) -> None:
    with closing(Database(ledger_url)) as database:
        upgrade(database, migrations=ADDITIVE)
        database.write(lambda c: c.execute(text("DELETE FROM failsoft_info WHERE key != 'host'")))

        for refused in (check, upgrade):
            with pytest.raises(LedgerSchemaError, match="upgrade this installation"):
                refused(database)


def test_the_place_of_a_relative_file_is_named_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(Database("sqlite:///ledger.db")) as database:
        with pytest.raises(LedgerSchemaError, match=f"got no file at {tmp_path}/ledger.db; run"):
            check(database)
        done = upgrade(database)
    assert (done.place, done.before, done.revision) == (f"{tmp_path}/ledger.db", None, REVISION)
    assert done.tables == TABLES


def test_neither_user_nor_password_is_in_the_place() -> None:
    url = "postgresql://ada:secret@db.example.org:5433/shop?password=secret2&sslmode=require"
    with closing(Database(url)) as database:
        assert database.place == "database shop on db.example.org:5433"


def interrupted(migrations: Sequence[Migration]) -> Sequence[Migration]:
    """Return the migrations, the last of which fails when it begins."""

    def fail() -> None:
        raise ZeroDivisionError

    last = migrations[-1]
    return [
        *migrations[:-1],
        Migration(last.before, last.revision, last.minimum, last.finished, fail),
    ]
