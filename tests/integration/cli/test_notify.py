"""`failsoft notify test` from the command to a receiver, and what it refuses."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from standardwebhooks import Webhook

from failsoft.job_engine import JobState
from failsoft.worker.exit_codes import CONFIG
from tests.integration.cli.command_line import CommandLine
from tests.integration.jobs.receiver import Receiver, receiving

SECRET = f"whsec_{base64.b64encode(b'o' * 32).decode()}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def channels(cli: CommandLine, url: str, **changes: Any) -> None:
    ops = {"kind": "webhook", "url": url, "secret": "ops"} | changes
    cli.env["FAILSOFT_NOTIFY"] = json.dumps({"channels": {"ops": ops}})
    cli.env["FAILSOFT_WEBHOOK_SECRETS"] = json.dumps({"ops": SECRET})
    cli.env["FAILSOFT_ENGINES"] = "ledger"


def test_a_channel_is_tried_with_a_signed_webhook(cli: CommandLine, receiver: Receiver) -> None:
    channels(cli, receiver.url())
    cli.env["FAILSOFT_WEBHOOK_ALLOW_PRIVATE"] = "true"
    cli.start("worker", "ledger", "--queue", "default")
    cli.wait_for_workers(1)

    tried = cli.run("notify", "test", "ops", "--json")

    assert tried.status == 0, tried.err
    [taken] = receiver.taken
    Webhook(SECRET).verify(taken.body, taken.headers)
    assert json.loads(taken.body)["type"] == "failsoft.test"
    assert (tried.json["channel"], tried.json["kind"]) == ("ops", "webhook")
    assert cli.state(tried.json["id"]) is JobState.SUCCEEDED


def test_a_private_address_is_refused_unless_the_settings_allow_it(
    cli: CommandLine, receiver: Receiver
) -> None:
    channels(cli, receiver.url())
    cli.start("worker", "ledger", "--queue", "default")
    cli.wait_for_workers(1)

    tried = cli.run("notify", "test", "ops")

    assert tried.status != 0
    assert "got 127.0.0.1" in tried.err
    assert "allow private ones in the settings" in tried.err
    assert receiver.taken == []


def test_a_channel_that_is_not_there_is_refused_with_those_that_are(cli: CommandLine) -> None:
    channels(cli, "https://example.com/")

    refused = cli.run("notify", "test", "opps")

    assert refused.status == CONFIG
    assert "(ops), got 'opps'; did you mean 'ops'?" in " ".join(refused.err.split())


def test_a_kind_that_nobody_knows_ends_every_command(cli: CommandLine) -> None:
    refused = cli.run(
        "notify", "list", FAILSOFT_NOTIFY='{"channels": {"ops": {"kind": "slak", "url": "x"}}}'
    )

    assert refused.status == CONFIG
    assert "did you mean 'slack'?" in " ".join(refused.err.split())
