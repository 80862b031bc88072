"""An engine is disabled in the ledger, for every process, and shown as that."""

import pytest

from failsoft.worker.exit_codes import CONFIG, OK, UNAVAILABLE, USAGE
from tests.integration.cli.command_line import DOCTOR, CommandLine
from tests.servers.processes import wait_until
from tests.servers.valkey import Valkey

pytestmark = pytest.mark.fault("F55")


def offered_to(cli: CommandLine) -> str:
    return str(cli.run("dispatch", "add", '{"numbers": [1]}', "--json").json["engine"])


def test_every_engine_that_comes_with_failsoft_is_listed(bare_cli: CommandLine) -> None:
    rows = bare_cli.run("engines", "list", "--json").json

    kinds = {"rq", "dramatiq", "ledger", "kafka", "inngest", "nats", "celery"}
    assert len(rows) == len(kinds)
    assert {row["kind"]: row["distribution"].split()[0] for row in rows} == {
        kind: f"failsoft-engine-{kind}" for kind in kinds
    }
    assert {row["engine"]: row["place"] for row in rows} == {
        **dict.fromkeys(kinds, None),
        "rq": 1,
        "dramatiq": 2,
    }
    # The title of one that is not importable is its error.
    assert not [row for row in rows if "expected" in row["title"] or not row["title"]]


def test_an_engine_is_disabled_and_enabled_for_every_process(live_cli: CommandLine) -> None:
    assert offered_to(live_cli) == "rq"

    said = live_cli.run("engines", "disable", "rq", "--reason", "Redis is being moved")
    shown = live_cli.run("engines")
    as_json = live_cli.run("engines", "--json").json

    assert said.status == OK
    assert "engine rq disabled by" in said.out
    assert "Redis is being moved" in shown.out
    assert {row["engine"]: bool(row["disabled"]) for row in as_json} == {
        "rq": True,
        "dramatiq": False,
    }
    assert offered_to(live_cli) == "dramatiq"
    doctor = live_cli.run(*DOCTOR).json["checks"]
    (found,) = [each for each in doctor if each["check"] == "engine disabled"]
    assert (found["level"], found["remedy"]) == ("warning", "failsoft engines enable rq")
    assert "gets offers again" in live_cli.run("engines", "enable", "rq").out
    assert "was not disabled" in live_cli.run("engines", "enable", "rq").out
    assert offered_to(live_cli) == "rq"


def test_a_worker_that_runs_obeys_it(live_cli: CommandLine) -> None:
    live_cli.start("worker", "maintenance")
    live_cli.run("engines", "disable", "rq")
    live_cli.run("engines", "disable", "dramatiq")
    job = live_cli.run("dispatch", "add", '{"numbers": [1]}', "--json").json

    assert job["state"] == "scheduled"
    live_cli.run("engines", "enable", "dramatiq")
    with live_cli.ledger() as ledger:
        wait_until(lambda: ledger.get(job["id"]).engine == "dramatiq", 60, "it is offered")


def test_an_engine_that_there_is_not_is_refused(cli: CommandLine) -> None:
    for words in (("disable", "rqq"), ("enable", "rqq")):
        refused = cli.run("engines", *words)

        assert refused.status == USAGE
        assert "expected the name of an engine, got 'rqq'; did you mean 'rq'?" in refused.err


def test_the_flag_of_the_environment_is_shown(live_cli: CommandLine) -> None:
    shown = live_cli.run("engines", USE_RQ="false")
    rows = live_cli.run("engines", "--json", USE_RQ="false").json

    assert "engine rq disabled by USE_RQ" in shown.out
    assert {row["engine"]: bool(row["disabled"]) for row in rows} == {"rq": True, "dramatiq": False}


def test_no_engine_is_healthy_where_none_is_there(cli: CommandLine) -> None:
    nowhere = {"REDIS_URL": "redis://127.0.0.1:1/0", "AMQP_URL": "redis://127.0.0.1:1/0"}

    assert cli.run("engines", **nowhere).status == UNAVAILABLE


def test_the_doctor_finds_a_misspelt_setting(cli: CommandLine) -> None:
    answer = cli.run(*DOCTOR, FAILSOFT_DISPATCH_BUGDET="2s")

    assert answer.status == CONFIG
    (found,) = answer.json["checks"]
    assert "did you mean that?" in found["found"]


def test_the_doctor_probes_as_the_user_that_is_set(live_cli: CommandLine, valkey: Valkey) -> None:
    rights = "~rq:job:* ~rq:queue:failsoft-* -@all +hello +auth +client|setinfo +evalsha"
    rights += " +script|load +exists +hset +rpush"
    valkey.command("ACL", "SETUSER", "few", "reset", "on", ">secret", *rights.split())
    url = valkey.url.replace("://", "://few:secret@")

    checks = live_cli.run(*DOCTOR, REDIS_URL=url).json["checks"]

    found = {each["check"]: (each["level"], each["found"]) for each in checks}
    assert found["rq write"][0] == "ok"
    assert "may not read more" in found["rq"][1]
