"""A job that one engine lost half-way is carried on by any other, after its last finished step."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise, permutations
from pathlib import Path

import pytest

from failsoft.dispatcher import JobHandle
from failsoft.dispatcher.plugins.discovery import installed, plugin
from failsoft.job_engine import JobState
from tests.deployments.deployment import Deployment
from tests.deployments.promises import assert_promises_kept
from tests.jobs.travelling import QUEUE, STEPS, Order, fulfil
from tests.servers.processes import PATIENCE, wait_until
from tests.servers.rabbitmq import RabbitMQ
from tests.takeovers.engines import SERVERS, Served

ENGINES = sorted(SERVERS)
#: Each engine once as the lost one and once as the one that carries on; the rest is long.
DIAGONAL = [*pairwise(ENGINES), (ENGINES[-1], ENGINES[0])]
PAIRS = [
    pytest.param(pair, id=" to ".join(pair), marks=() if pair in DIAGONAL else pytest.mark.long)
    for pair in permutations(ENGINES, 2)
]


@pytest.fixture(params=PAIRS)
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The engine that is lost, and the one that carries on."""
    found: tuple[str, str] = request.param
    return found


@pytest.fixture
def servers(
    pair: tuple[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[list[Served]]:
    def rabbitmq() -> RabbitMQ:
        # Only where one of the two needs it: its start takes longer than a pair.
        node: RabbitMQ = request.getfixturevalue("rabbitmq")
        return node

    with ExitStack() as stack:
        yield [stack.enter_context(SERVERS[each](tmp_path, rabbitmq)) for each in pair]


@pytest.fixture
def addresses(
    upgraded_ledger_url: str, pair: tuple[str, str], servers: list[Served]
) -> dict[str, str]:
    settings = {name: value for each in servers for name, value in each.settings.items()}
    return {
        "FAILSOFT_LEDGER_URL": upgraded_ledger_url,
        "FAILSOFT_ENGINES": ",".join(pair),
        "FAILSOFT_JOBS": "tests.jobs.travelling",
        # An engine that is lost refuses at once; one that lives may be slow on a busy machine.
        "FAILSOFT_DISPATCH_BUDGET": "15s",
        **settings,
    }


@pytest.fixture
def ledger_url(sqlite_url: str) -> str:
    return sqlite_url


def dispatch(deployment: Deployment, order: Order) -> JobHandle[int]:
    deployment.handles.append(deployment.app.dispatcher.dispatch(fulfil, order))
    return deployment.handles[-1]


def test_every_engine_takes_part() -> None:
    assert set(ENGINES) == {kind for kind in installed() if not plugin(kind).is_for_tests}


def test_a_job_is_carried_on_after_its_last_finished_step(
    deployment: Deployment, pair: tuple[str, str], servers: list[Served], gate: Path
) -> None:
    lost, carries_on = pair
    # One after the other: what the second reads of live workers counts for a second, and the first
    # is among them then. Otherwise it could carry on what was never lost.
    first = deployment.worker(lost, QUEUE.name)
    deployment.wait_for(first)
    deployment.wait_for(deployment.worker(carries_on, QUEUE.name))
    order = dispatch(deployment, Order(tenant="one", gate=str(gate)))
    log = deployment.effect_log
    wait_until(
        lambda: log.times_begun(order.id).get("charge"), PATIENCE, "the first attempt has a charge"
    )
    # The place of its tenant is taken as long as the first order runs.
    waiting = dispatch(deployment, Order(tenant="one"))

    first.process.kill()
    servers[0].kill()
    deployment.wait_for_ends()

    assert order.result() == waiting.result() == 1 + 2 + 3 + 4
    assert log.times_begun(order.id) == dict.fromkeys(STEPS, 1) | {"charge": 2}
    assert [each.engine for each in log.begun(order.id)] == [lost] * 3 + [carries_on] * 2
    assert set(log.engines(waiting.id)) == {carries_on}
    assert log.begun(waiting.id)[0].at > log.lines(order.id)[-1].at
    assert [each.job().state for each in (order, waiting)] == [JobState.SUCCEEDED] * 2
    assert_promises_kept(deployment)
