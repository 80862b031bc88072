"""The program of docs/how-to/kafka.md, run by real processes on a real broker."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from failsoft.job_engine.records.states import JobState
from tests.docs.page import blocks_of, commands_of
from tests.docs.test_guide import exists
from tests.integration.kafka.conftest import Site
from tests.servers.processes import PATIENCE, wait_until
from tests.servers.tansu import Tansu

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "kafka.md"


@pytest.mark.parametrize("line", sorted(set(commands_of(PAGE))))
def test_every_command_of_the_page_exists(line: str) -> None:
    exists(line)


def test_the_program_of_the_page_makes_jobs_of_records_and_publishes_others(
    broker: Tansu, made: Callable[[str, str], Site], tmp_path: Path
) -> None:
    (block,) = blocks_of(PAGE)
    (tmp_path / "shipping.py").write_text(block.code)
    site = made(broker.url, f"sqlite:///{tmp_path}/ledger.db")
    site.paid, site.shipped = "paid", "shipped"
    site.create("paid", "shipped")
    path = f"{tmp_path}:{site.env['PYTHONPATH']}"
    site.env = {**site.env, "FAILSOFT_JOBS": "shipping", "PYTHONPATH": path}
    for queue in ("default", "@bridge"):
        site.start_anew("kafka", queue)
    site.pay({"order": 1}, {"order": 2})

    def done() -> bool:
        return [each.state for each in site.jobs()] == [JobState.SUCCEEDED] * 2

    wait_until(done, PATIENCE, "both jobs have succeeded")
    wait_until(lambda: len(site.published()) >= 2, PATIENCE, "both are published")
    assert sorted(json.loads(each.value() or b"")["order"] for each in site.published()) == [1, 2]
