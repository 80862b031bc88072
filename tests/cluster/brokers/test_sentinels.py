"""F60: a Valkey behind Sentinels fails over to a replica, loses its network, its replicas."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.brokers.going_on import assert_goes_on
from tests.deployments.deployment import Deployment
from tests.servers.clusters.sentinels import Sentinels, sentinels
from tests.servers.network import missing
from tests.servers.processes import PATIENCE, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

#: What an engine is given its address by.
ADDRESS = {"rq": "FAILSOFT_REDIS_URL", "dramatiq": "FAILSOFT_AMQP_URL"}


@pytest.fixture(scope="module")
def all_servers() -> Iterator[Sentinels]:
    assert not missing(), missing()
    with sentinels() as servers:
        yield servers


@pytest.fixture
def servers(all_servers: Sentinels) -> Iterator[Sentinels]:
    yield all_servers
    all_servers.heal()


@pytest.fixture(params=ADDRESS)
def broker(request: pytest.FixtureRequest, servers: Sentinels, namespace: str) -> dict[str, str]:
    return {
        "FAILSOFT_ENGINES": request.param,
        "FAILSOFT_NAMESPACE": namespace,
        ADDRESS[request.param]: servers.url,
    }


def switched_over(servers: Sentinels) -> None:
    """A replica is promoted, as for an update of the primary."""
    servers.switch_over()


def primary_killed(servers: Sentinels) -> None:
    """The host of the primary loses its power."""
    primary = servers.wait_for_primary()
    primary.kill()
    servers.wait_for_primary(but=primary)


def primary_cut_off(servers: Sentinels) -> None:
    """Nothing reaches the primary, and nothing comes from it: its connections are silent."""
    primary = servers.wait_for_primary()
    primary.host.cut_off()
    servers.wait_for_primary(but=primary)


def primary_in_a_minority(servers: Sentinels) -> None:
    """The primary is parted from its replicas and their Sentinels, and not from its clients."""
    primary = servers.wait_for_primary()
    primary.host.part_from(*(each.host for each in servers.nodes if each is not primary))
    servers.wait_for_primary(but=primary)
    assert primary.role == "master", "it cannot know of its successor"


def majority_lost(servers: Sentinels) -> None:
    """Both replicas are cut off: the primary takes no writes, and no other can be promoted."""
    primary = servers.wait_for_primary()
    for each in servers.nodes:
        if each is not primary:
            each.host.cut_off()
    wait_until(lambda: not primary.takes_writes, PATIENCE, "a primary that takes no writes")


@pytest.mark.fault("F60")
@pytest.mark.parametrize(
    "misfortune",
    [switched_over, primary_killed, primary_cut_off, primary_in_a_minority, majority_lost],
)
def test_jobs_behind_sentinels_go_on_by_themselves(
    *,
    deployment: Deployment,
    broker: dict[str, str],
    servers: Sentinels,
    gate: Path,
    misfortune: Callable[[Sentinels], None],
) -> None:
    assert_goes_on(
        deployment,
        broker["FAILSOFT_ENGINES"],
        gate=gate,
        befall=lambda: misfortune(servers),
        heal=servers.heal,
        is_served=misfortune is not majority_lost,
    )
