"""A secret that a job is trusted with stands in its payload in the ledger, and nowhere else."""

import logging
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import get_args

import pika
import pytest
from pydantic import SecretStr

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import JobState
from failsoft.ledger.schema.jobs import jobs
from failsoft.ledger.schema.tables import metadata
from tests.deployments.deployment import JOBS, PATIENCE, SHORT_LEASE, Deployment
from tests.jobs.confidential import Confidential, Fate, confidential
from tests.servers.processes import wait_until
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.valkey import Valkey

CANARY = "canary-7f3a9c51"
QUEUE = "failsoft-children"
ENGINES = ("rq", "dramatiq")

pytestmark = pytest.mark.parametrize(
    ("ledger_url", "fallback_url"),
    [("sqlite", "rabbitmq"), ("postgresql", "valkey")],
    indirect=True,
)

ENDS = {
    "success": JobState.SUCCEEDED,
    "failure": JobState.FAILED,
    "crash": JobState.FAILED,
    "fenced": JobState.SUCCEEDED,
}


@pytest.fixture
def environment(environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    environment.setenv("FAILSOFT_JOBS", f"{JOBS},tests.jobs.confidential")
    environment.setenv("FAILSOFT_LOG_LEVEL", "DEBUG")
    return environment


def test_a_secret_is_nowhere_but_in_its_payload(
    deployment: Deployment,
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
) -> None:
    caplog.set_level(logging.DEBUG)
    gate = Path(request.getfixturevalue("gate"))
    handles = {
        (fate, engine): dispatch(deployment, fate, engine, gate)
        for fate in get_args(Fate)
        for engine in ENGINES
    }
    brokers = list(everything_in_the_brokers(request))
    assert all(any(each.id in text for text in brokers) for each in handles.values())

    run_all(deployment, handles, gate)
    brokers += everything_in_the_brokers(request)
    logs = [worker.output for worker in deployment.processes.started]
    reported = [*map(repr, deployment.events), caplog.text]

    assert {handle.status() for handle in handles.values()} == set(ENDS.values())
    assert all(handle.status() is ENDS[fate] for (fate, _), handle in handles.items())
    assert "confidential" in logs[0]
    for place in (brokers, logs, reported, everything_in_the_ledger(deployment)):
        assert not [text for text in place if CANARY in str(text)]


def test_the_canary_would_be_seen_in_the_ledger(deployment: Deployment, gate: Path) -> None:
    handle = dispatch(deployment, "success", "rq", gate)

    assert CANARY in deployment.app.ledger.get(handle.id).payload


def dispatch(deployment: Deployment, fate: Fate, engine: str, gate: Path) -> JobHandle[int]:
    payload = Confidential(secret=SecretStr(CANARY), remark=CANARY, fate=fate, gate=str(gate))
    return deployment.app.dispatcher.dispatch(confidential, payload, engines=(engine, *ENGINES))


def run_all(
    deployment: Deployment, handles: dict[tuple[Fate, str], JobHandle[int]], gate: Path
) -> None:
    workers = [deployment.worker(engine, "children", **SHORT_LEASE) for engine in ENGINES]
    deployment.wait_for(*workers)
    victim = handles["fenced", "rq"]
    deployment.wait_for_step(victim, "step-1")
    # A worker that was slow to start may have lost the job to the other before it began.
    holder = workers[ENGINES.index(str(victim.job().engine))]
    deployment.freeze(holder)
    wait_until(lambda: victim.job().claims > 1, PATIENCE, "the other engine has the job")
    gate.touch()
    holder.process.thaw()
    deployment.wait_for_ends(*handles.values(), deadline=2 * PATIENCE)
    for worker in workers:
        worker.process.terminate(PATIENCE)


def everything_in_the_brokers(request: pytest.FixtureRequest) -> Iterator[str]:
    yield from everything_in_redis(request.getfixturevalue("valkey"))
    if str(request.getfixturevalue("fallback_url")).startswith("redis"):
        yield from everything_in_redis(request.getfixturevalue("second_valkey"))
    else:
        yield from everything_in_rabbitmq(request)


def everything_in_redis(server: Valkey) -> Iterator[str]:
    readers = {
        "string": ("GET",),
        "hash": ("HGETALL",),
        "list": ("LRANGE", 0, -1),
        "set": ("SMEMBERS",),
        "zset": ("ZRANGE", 0, -1),
        "stream": ("XRANGE", "-", "+"),
    }
    for key in sorted(server.keys()):
        kind = server.command("TYPE", key).decode()
        if kind in readers:
            command, *rest = readers[kind]
            yield f"{key}: {readable(server.command(str(command), key, *rest))}"


def readable(value: object) -> object:
    """Unpack what RQ has compressed."""
    if isinstance(value, bytes):
        with suppress(zlib.error):
            return zlib.decompress(value)
    if isinstance(value, dict):
        return {key: readable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [readable(each) for each in value]
    return value


def everything_in_rabbitmq(request: pytest.FixtureRequest) -> Iterator[str]:
    url = pika.URLParameters(request.getfixturevalue("fallback_url"))
    with pika.BlockingConnection(url) as connection:
        channel = connection.channel()
        for queue in (QUEUE, f"{QUEUE}.XQ", "failsoft-probe"):
            with suppress(pika.exceptions.ChannelClosedByBroker):
                while (found := channel.basic_get(queue))[0] is not None:
                    yield f"{found}"
    rabbitmq: RabbitMQ = request.getfixturevalue("rabbitmq")
    for path in (rabbitmq.folder / "data").rglob("*"):
        if path.is_file():
            yield path.read_bytes().decode(errors="replace")


def everything_in_the_ledger(deployment: Deployment) -> Iterator[str]:
    """Every column but the payload."""
    for table in metadata.sorted_tables:
        columns = [column for column in table.c if column is not jobs.c.payload]
        query = table.select().with_only_columns(*columns)
        rows = deployment.app.ledger.database.read(lambda c, query=query: c.execute(query).all())
        yield from map(repr, rows)
