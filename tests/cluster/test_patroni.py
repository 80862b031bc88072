"""F54: the cluster that the how-to describes loses its primary, its network or its store."""

import time
from collections.abc import Callable

import pytest

from tests.cluster.outcome import assert_kept, at_work, forget_lost, outcome
from tests.deployments.deployment import Deployment
from tests.faults.dispatch_load import charged, under_load
from tests.servers.postgresql.patroni import TTL, PatroniCluster
from tests.servers.processes import PATIENCE, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

#: Outlasts a fail-over on a busy machine, so that none has to give up a job.
LONG_LEASE = "120s"
#: How far a replica may have been behind, in seconds: what was committed before is on it. It
#: streams within milliseconds; the machine may be busy.
BEHIND = 2 * TTL
#: Within how many seconds after there is a primary again dispatches and workers go on.
GOES_ON = 30


def primary_killed(cluster: PatroniCluster) -> None:
    """The host of the primary loses its power."""
    leader = cluster.wait_for_leader()
    leader.kill()
    cluster.wait_for_leader(but=leader)


def primary_partitioned(cluster: PatroniCluster) -> None:
    """Nothing reaches the primary, and nothing comes from it: its sessions are silent."""
    leader = cluster.wait_for_leader()
    leader.host.cut_off()
    cluster.wait_for_leader(but=leader)


def switched_over(cluster: PatroniCluster) -> None:
    """Another member is made the primary, as for an update of the first."""
    cluster.switch_over()


def store_partitioned(cluster: PatroniCluster) -> None:
    """No majority of etcd is left: the primary cannot know that it still is, and demotes itself."""
    for etcd in cluster.etcds[:2]:
        etcd.host.cut_off()
    wait_until(lambda: cluster.leader is None, PATIENCE, "the primary has demoted itself")
    for etcd in cluster.etcds[:2]:
        etcd.host.connect()
    cluster.wait_for_leader()


MISFORTUNES = (switched_over, primary_killed, primary_partitioned, store_partitioned)


@pytest.mark.fault("F54")
@pytest.mark.parametrize("misfortune", MISFORTUNES)
def test_a_ledger_on_a_cluster_goes_on_by_itself(
    deployment: Deployment, cluster: PatroniCluster, misfortune: Callable[[PatroniCluster], None]
) -> None:
    deployment.wait_for(deployment.worker("rq", "threads", FAILSOFT_LEASE=LONG_LEASE))

    with under_load(deployment) as load:
        began = time.time()
        misfortune(cluster)
        served_again = time.time()
    lost = forget_lost(deployment, load)
    deployment.wait_for_ends(deadline=3 * PATIENCE)

    figures = outcome(
        misfortune.__name__, load, len(lost), served_again, synchronous=cluster.synchronous
    )
    figures.write()
    print(figures)  # noqa: T201 - shown where the test fails
    assert charged(deployment) == {}
    assert figures.dispatches_went_on < GOES_ON
    assert figures.steps_went_on < GOES_ON
    if cluster.synchronous:
        assert (figures.lost, figures.doubled) == (0, 0)
        assert_kept(deployment)
    else:
        # What an asynchronous replica had not received is lost, and nothing that is older.
        assert all(accepted_at >= began - BEHIND for accepted_at, _ in lost)
        assert_kept(deployment, may_repeat=at_work(deployment, began - BEHIND, served_again))
