"""What the commands leave in the audit, and lists that go on where another one ended."""

import getpass

from failsoft.testing.ledger_suite.fixtures import offered
from failsoft.worker.exit_codes import OK, USAGE
from tests.integration.cli.command_line import CommandLine


def test_what_the_commands_do_is_in_the_audit(cli: CommandLine) -> None:
    with cli.ledger() as ledger:
        job = offered(ledger)
    for words in (
        ("jobs", "cancel", job.id),
        ("jobs", "cancel", job.id),
        ("queues", "pause", "default", "--reason", "a deploy"),
        ("queues", "resume", "default"),
        ("ledger", "rotate-keys"),
    ):
        assert cli.run(*words).status == OK

    found = cli.run("audit", "list", "--json").json["actions"]
    of_job = cli.run("audit", "list", "--target", job.id, "--json").json["actions"]

    assert [(e["action"], e["target_kind"], e["outcome"]) for e in reversed(found)] == [
        ("cancel", "job", "cancelled"),
        ("cancel", "job", "ended"),
        ("pause", "queue", "done"),
        ("resume", "queue", "done"),
        ("rotate", "key", "done"),
    ]
    assert [e["source"] for e in of_job] == [f"cli {getpass.getuser()}"] * 2
    assert next(e["reason"] for e in found if e["action"] == "pause") == "a deploy"
    assert job.id in cli.run("audit", "list").out


def test_a_list_goes_on_after_its_cursor(cli: CommandLine) -> None:
    with cli.ledger() as ledger:
        jobs = {offered(ledger).id for _ in range(3)}

    first = cli.run("jobs", "list", "--limit", "2", "--json")
    cursor = first.err.split("--after ")[1].split()[0]
    rest = cli.run("jobs", "list", "--limit", "2", "--after", cursor, "--json")
    of_another = cli.run("jobs", "list", "--queue", "default", "--after", cursor)

    assert {each["id"] for each in [*first.json, *rest.json]} == jobs
    assert "--after" not in rest.err
    assert (of_another.status, "does not fit its filter" in of_another.err) == (USAGE, True)
