"""`failsoft engines test` of an engine without a bench: what needs one, and what does not."""

import json

import pytest

from failsoft.worker.exit_codes import CONFIG, OK
from tests.integration.cli.command_line import CommandLine
from tests.servers.processes import PATIENCE

#: The engine that carries the job on, and the one that loses it: one has no server.
PAIRS = [
    *((name, "rq") for name in ("nats", "kafka", "ledger", "celery", "inngest", "dramatiq")),
    ("rq", "ledger"),
]


@pytest.mark.long
@pytest.mark.parametrize(("name", "losing"), PAIRS)
def test_a_take_over_needs_no_bench(bare_cli: CommandLine, name: str, losing: str) -> None:
    patience = ("--patience", str(PATIENCE))
    words = ("--only", "take_over", "--losing", losing, *patience, "--json")
    ran = bare_cli.start("engines", "test", name, *words)

    assert ran.wait(3 * PATIENCE) == OK, ran.tail
    (promise,) = json.loads(ran.output.splitlines()[-1])["promises"]
    assert (promise["suite"], promise["kept"]) == ("TakeOver", True)


def test_the_promises_of_the_halves_need_one(bare_cli: CommandLine) -> None:
    ran = bare_cli.run("engines", "test", "ledger")

    assert ran.status == CONFIG
    assert "expected a bench of engine ledger" in ran.err
    assert "without one there is --only take_over" in ran.err
