"""F59: quorum queues on three nodes of RabbitMQ lose their leader, their network, a majority."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.brokers.going_on import QUEUE, assert_goes_on
from tests.deployments.deployment import Deployment
from tests.servers.clusters.rabbitmq_cluster import RabbitmqCluster, rabbitmq_cluster
from tests.servers.network import missing

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

#: What an engine is given its address by.
ADDRESS = {"dramatiq": "FAILSOFT_AMQP_URL", "celery": "FAILSOFT_CELERY_BROKER_URL"}


@pytest.fixture(scope="module")
def whole_cluster() -> Iterator[RabbitmqCluster]:
    assert not missing(), missing()
    with rabbitmq_cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(whole_cluster: RabbitmqCluster) -> Iterator[RabbitmqCluster]:
    yield whole_cluster
    whole_cluster.heal()


@pytest.fixture(params=ADDRESS)
def broker(
    request: pytest.FixtureRequest, cluster: RabbitmqCluster, namespace: str
) -> dict[str, str]:
    engine = request.param
    return {
        "FAILSOFT_ENGINES": engine,
        "FAILSOFT_NAMESPACE": namespace,
        ADDRESS[engine]: cluster.url,
        f"FAILSOFT_{engine.upper()}_QUEUE_TYPE": "quorum",
    }


def leader_killed(cluster: RabbitmqCluster, queue: str) -> None:
    """The host of the queue's leader loses its power."""
    leader = cluster.wait_for_leader(queue)
    leader.kill()
    cluster.wait_for_leader(queue, but=leader)


def leader_cut_off(cluster: RabbitmqCluster, queue: str) -> None:
    """Nothing reaches the leader, and nothing comes from it: its connections are silent."""
    leader = cluster.wait_for_leader(queue)
    leader.host.cut_off()
    cluster.wait_for_leader(queue, but=leader)


def leader_in_a_minority(cluster: RabbitmqCluster, queue: str) -> None:
    """The leader is parted from the other nodes, and not from its clients."""
    leader = cluster.wait_for_leader(queue)
    leader.host.part_from(*(each.host for each in cluster.nodes if each is not leader))
    cluster.wait_for_leader(queue, but=leader)
    cluster.wait_until_paused(leader)


def majority_lost(cluster: RabbitmqCluster, _: str) -> None:
    """Two nodes of three are cut off, and the third cannot know whether they go on."""
    for each in cluster.nodes[1:]:
        each.host.cut_off()
    cluster.wait_until_paused(*cluster.nodes)


@pytest.mark.fault("F59")
@pytest.mark.parametrize(
    "misfortune", [leader_killed, leader_cut_off, leader_in_a_minority, majority_lost]
)
def test_jobs_on_quorum_queues_go_on_by_themselves(
    *,
    deployment: Deployment,
    broker: dict[str, str],
    cluster: RabbitmqCluster,
    namespace: str,
    gate: Path,
    misfortune: Callable[[RabbitmqCluster, str], None],
) -> None:
    assert_goes_on(
        deployment,
        broker["FAILSOFT_ENGINES"],
        gate=gate,
        befall=lambda: misfortune(cluster, f"{namespace}-{QUEUE}"),
        heal=cluster.heal,
        is_served=misfortune is not majority_lost,
    )
