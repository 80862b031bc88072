"""A task ends, and is done once, whenever RQ and its worker are killed: before, during, after."""

from pathlib import Path

import pytest

from failsoft.contrib.django.compat import AnyResult, TaskResultStatus
from tests.contrib.django.project.shop.tasks import TRAVELS, add, travels
from tests.deployments.deployment import Deployment, Worker
from tests.servers.processes import PATIENCE, wait_until
from tests.servers.valkey import Valkey

QUEUE = "default"


def workers(deployment: Deployment) -> tuple[Worker, Worker]:
    """Start a worker of RQ, and then the one of the ledger, which must not come first."""
    first = deployment.worker("rq", QUEUE)
    deployment.wait_for(first)
    second = deployment.worker("ledger", QUEUE)
    deployment.wait_for(second)
    return first, second


def expect_done(result: AnyResult, value: object, *engines: str) -> None:
    def is_over() -> bool:
        result.refresh()
        return bool(result.is_finished)

    wait_until(is_over, PATIENCE, f"the end of task {result.id}")
    assert (result.status, result.errors) == (TaskResultStatus.SUCCESSFUL, [])
    assert result.return_value == value
    assert [each.partition(":")[0] for each in result.worker_ids] == list(engines)


def test_during_a_task(deployment: Deployment, redis: Valkey, gate: Path) -> None:
    first, _ = workers(deployment)
    result = travels.enqueue(str(gate))
    wait_until(
        lambda: deployment.effect_log.has_begun(result.id, TRAVELS[1], 1), PATIENCE, "a step"
    )

    first.process.kill()
    redis.kill()
    expect_done(result, 3, "rq", "ledger")

    begun = deployment.effect_log.times_begun(result.id)
    assert begun == dict.fromkeys(TRAVELS, 1) | {TRAVELS[1]: 2}


@pytest.mark.long
def test_before_it_is_enqueued(deployment: Deployment, redis: Valkey) -> None:
    workers(deployment)

    redis.kill()
    expect_done(add.enqueue(2, b=3), 5, "ledger")


@pytest.mark.long
def test_before_a_worker_has_it(deployment: Deployment, redis: Valkey) -> None:
    deployment.pretend("rq", QUEUE)
    result = add.enqueue(2, b=3)
    assert deployment.app.ledger.get(result.id).engine == "rq"

    redis.kill()
    deployment.wait_for(deployment.worker("ledger", QUEUE))
    expect_done(result, 5, "ledger")


@pytest.mark.long
def test_after_it_has_ended(deployment: Deployment, redis: Valkey) -> None:
    first, _ = workers(deployment)
    result = add.enqueue(2, b=3)
    expect_done(result, 5, "rq")

    first.process.kill()
    redis.kill()

    assert add.get_result(result.id).return_value == 5
    expect_done(add.enqueue(3, b=4), 7, "ledger")
