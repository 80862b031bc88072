"""What a shim sends is run by the workers of other engines, and carried on by the next one."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from failsoft.adoption.rq import FailsoftQueue
from failsoft.job_engine import JobState
from tests.adoption.apps import actors, shop, tasks
from tests.adoption.apps.holding import begun
from tests.deployments.deployment import Deployment
from tests.servers.processes import PATIENCE, wait_until

QUEUE = "default"
SENT: Mapping[str, Callable[[], str]] = {
    "rq": lambda: FailsoftQueue(QUEUE).enqueue(shop.hold, "rq").id,
    "dramatiq": lambda: str(actors.hold.send("dramatiq").message_id),
    "celery": lambda: str(tasks.hold.delay("celery").id),
}
PAIRS = [("dramatiq", "ledger"), ("ledger", "dramatiq")]
CASES = [
    pytest.param(
        *(shim, pair, broker),
        id=f"{shim}: {pair[0]} to {pair[1]}, {broker}",
        marks=() if (shim, pair, broker) == ("rq", PAIRS[1], "valkey") else pytest.mark.long,
    )
    for shim in SENT
    for pair in PAIRS
    for broker in ("rabbitmq", "valkey")
]


@pytest.mark.parametrize(("shim", "pair", "fallback_url"), CASES, indirect=["fallback_url"])
def test_a_call_is_carried_on_by_the_other_engine(
    deployment: Deployment, shim: str, pair: tuple[str, str], log: Path
) -> None:
    lost = deployment.worker(pair[0], QUEUE)
    deployment.wait_for(lost)
    job_id = SENT[shim]()
    wait_until(lambda: begun(log)[shim], PATIENCE, lambda: lost.process.tail)
    carries_on = deployment.worker(pair[1], QUEUE)
    deployment.wait_for(carries_on)

    lost.process.kill()

    ledger = deployment.app.ledger
    wait_until(
        lambda: ledger.get(job_id).state.is_terminal, PATIENCE, lambda: carries_on.process.tail
    )
    job = ledger.get(job_id)
    assert (job.state, job.result) == (JobState.SUCCEEDED, f'"{shim} is done"')
    assert begun(log)[shim] == 2
    assert [each.engine for each in ledger.attempts(job_id)] == list(pair)
