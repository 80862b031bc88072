"""The deployment of the acceptance tests on a PostgreSQL cluster that fails over by itself."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.deployments.fixtures import *  # noqa: F403 - its fixtures, all of them
from tests.servers.network import missing
from tests.servers.postgresql.patroni import PatroniCluster


@pytest.fixture(scope="module", params=[True, False], ids=["synchronous", "asynchronous"])
def cluster(request: pytest.FixtureRequest) -> Iterator[PatroniCluster]:
    assert not missing(), missing()
    prefix = "failsoft-cluster-"
    with (
        TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder,
        PatroniCluster(Path(folder), synchronous=request.param) as cluster,
    ):
        yield cluster


@pytest.fixture
def ledger_url(cluster: PatroniCluster) -> Iterator[str]:
    """An empty database on every member of a cluster that is whole."""
    cluster.heal()
    yield cluster.create_database(f"test_{uuid.uuid4().hex}")
    cluster.heal()
