"""The command line over two ledgers: it finds the one of a job, or is told which."""

import json
from collections.abc import Iterator
from contextlib import closing

import pytest
from click.testing import CliRunner, Result

from failsoft.job_engine.records.states import JobState
from failsoft.ledger import Database, SqlLedger
from failsoft.testing.ledger_suite import fixtures
from failsoft.worker.cli import main
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.engine_sites import release_engines
from failsoft.worker.exit_codes import CONFIG, FAILURE, OK, USAGE
from tests.integration.sharding.conftest import IN_A, IN_B, NAMES


@pytest.fixture(autouse=True)
def _environment(environment: pytest.MonkeyPatch) -> Iterator[None]:
    yield
    release_engines(load_settings())


@pytest.fixture
def job_ids(ledger_urls: dict[str, str]) -> dict[str, str]:
    """A failed job in each ledger."""
    found = {}
    for name, url in ledger_urls.items():
        with closing(Database(url)) as database:
            found[name] = fixtures.ended(SqlLedger(database), JobState.FAILED).job_id
    return found


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words, env={"FAILSOFT_LEDGER_NAME": ""})


@pytest.mark.parametrize("name", NAMES)
def test_a_job_is_found_in_whichever_ledger_it_is(job_ids: dict[str, str], name: str) -> None:
    job_id = job_ids[name]

    shown = run("jobs", "show", job_id[:8], "--json")
    assert json.loads(shown.stdout)["job"]["id"] == job_id
    assert run("jobs", "steps", job_id).exit_code == OK
    retried = json.loads(run("jobs", "retry", job_id, "--json").stdout)["retried"]
    cancelled = run("jobs", "cancel", retried[0][1], "--json")
    assert json.loads(cancelled.stdout)["cancelled"] == {retried[0][1]: "cancelled"}


def test_jobs_of_two_ledgers_are_not_one_commands(job_ids: dict[str, str]) -> None:
    result = run("jobs", "cancel", *job_ids.values())

    assert result.exit_code == FAILURE
    assert "expected jobs of one ledger, got some of a, b" in result.output


def test_a_job_that_is_in_none_is_not_found(job_ids: dict[str, str]) -> None:
    result = run("jobs", "show", "unheard-of")

    assert result.exit_code == FAILURE
    assert "expected the id of a job in one of the ledgers a, b" in result.output


@pytest.mark.parametrize(
    "words",
    [
        ("jobs", "list"),
        ("jobs", "cancel", "--name", "welcome", "--yes"),
        ("queues", "list"),
        ("engines",),
        ("ledger", "verify"),
        ("ledger", "upgrade"),
        ("ledger", "copy", "--to", "sqlite:///nowhere.db"),
        ("schedules", "list"),
        ("doctor",),
        ("dev",),
    ],
    ids=" ".join,
)
def test_what_is_about_a_whole_ledger_needs_its_name(words: tuple[str, ...]) -> None:
    result = run(*words)

    assert result.exit_code == CONFIG, result.output
    flat = " ".join(result.output.split())
    assert "expected one of the ledgers of FAILSOFT_LEDGERS (a, b), got none named" in flat
    assert "failsoft --ledger NAME" in flat


@pytest.mark.parametrize("name", NAMES)
def test_the_one_that_is_named_is_used(job_ids: dict[str, str], name: str) -> None:
    listed = run("--ledger", name, "jobs", "list", "--json")
    assert [each["id"] for each in json.loads(listed.stdout)] == [job_ids[name]]
    upgraded = json.loads(run("--ledger", name, "ledger", "upgrade", "--json").stdout)
    assert upgraded["before"] == upgraded["revision"]
    assert json.loads(run("--ledger", name, "ledger", "verify", "--json").stdout)["jobs"] == 1


def test_a_ledger_of_another_name_is_refused() -> None:
    result = run("--ledger", "c", "jobs", "list")

    assert result.exit_code == CONFIG
    assert "expected FAILSOFT_LEDGER_NAME to be one of FAILSOFT_LEDGERS (a, b), got c" in (
        result.output
    )


def test_a_dispatch_says_what_the_job_belongs_to(ledger_urls: dict[str, str]) -> None:
    payload = json.dumps({"steps": 1})
    refused = run("dispatch", "in-thread", payload)
    assert (refused.exit_code, "expected a shard=" in refused.output) == (USAGE, True)

    for name, shard in zip(NAMES, (IN_A, IN_B), strict=True):
        result = run("dispatch", "in-thread", payload, "--shard", shard, "--json")
        job_id = json.loads(result.stdout)["id"]
        with closing(Database(ledger_urls[name])) as database:
            assert SqlLedger(database).get(job_id).state is JobState.OFFERED
