"""A Redis Cluster is named and refused when a worker starts, and by the doctor."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from failsoft.engine_api import free_port
from failsoft.engines.rq.adapter import RqEngine
from failsoft.job_engine.clock import Deadline, SystemClock
from failsoft.job_engine.errors import ConfigurationError, OfferRefusedError
from failsoft.job_engine.policies.queue import DEFAULT
from failsoft.job_engine.records.message import KeyRing, SigningKey
from failsoft.queue import shared_client
from failsoft.queue.cluster import refuse_cluster
from tests.integration.cli.command_line import DOCTOR, CommandLine
from tests.servers.processes import PATIENCE
from tests.servers.valkey import Valkey


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Valkey]:
    """A node that has every slot: whatever it refuses, it refuses for the keys' slots."""
    config = {
        "cluster-enabled": "yes",
        "cluster-config-file": str(tmp_path / "nodes.conf"),
        # Otherwise it is ten thousand above the other one, which may be another server's.
        "cluster-port": str(free_port()),
    }
    with Valkey(tmp_path / "cluster", config=config) as server:
        server.command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        yield server


@pytest.mark.fault("F53")
@pytest.mark.parametrize(("engine", "variable"), [("rq", "REDIS_URL"), ("dramatiq", "AMQP_URL")])
def test_a_worker_on_a_cluster_ends_with_78_and_says_what_to_use(
    cli: CommandLine, cluster: Valkey, engine: str, variable: str
) -> None:
    worker = cli.start("worker", engine, "--queue", "threads", **{variable: cluster.url})

    assert worker.wait(PATIENCE) == 78
    assert "Redis Cluster" in worker.output
    assert f"redis+sentinel://host:26379/0?service=name, in {variable}" in worker.output


@pytest.mark.fault("F53")
def test_the_doctor_names_a_cluster(cli: CommandLine, cluster: Valkey) -> None:
    answer = cli.run(*DOCTOR, REDIS_URL=cluster.url)

    assert answer.status == 78
    (found,) = [each for each in answer.json["checks"] if each["check"] == "rq role"]
    assert "Redis Cluster" in found["found"]
    assert "REDIS_URL" in found["remedy"]


@pytest.mark.fault("F53")
def test_an_offer_to_a_cluster_is_refused_with_what_to_use(cluster: Valkey) -> None:
    client = shared_client(cluster.url, "test-cluster")
    engine, key = RqEngine(client), SigningKey.generate()
    message = KeyRing(lambda: [key], SystemClock()).sign("job-1", 1, "rq")
    deadline = Deadline.after(SystemClock(), timedelta(seconds=5))

    with pytest.raises(OfferRefusedError):
        engine.offer(message, DEFAULT, deadline)
    assert not engine.probe(DEFAULT, deadline).healthy
    with pytest.raises(ConfigurationError, match=r"Cluster.*sentinel.*REDIS_URL"):
        refuse_cluster(client, "REDIS_URL")
