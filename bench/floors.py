"""What the servers and the disk of this machine take for the least that a system can do with them.

Each is the median of some calls of the plainest kind, by the driver alone: no program that keeps a
job durably can be faster than one commit. Measured in each round, beside the systems.
"""

import os
import sqlite3
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import pika
import psycopg
from redis import Redis

from bench.servers import Servers

PING = "Redis PING"
SQLITE = "SQLite commit, WAL, synchronous=FULL"
POSTGRESQL = "PostgreSQL INSERT, committed"
CONFIRM = "RabbitMQ publish, confirmed"
DISK = "fdatasync of 4 KB"

Call = Callable[[], object]


class Floors:
    """The plainest calls, on connections of their own.

    Args:
        servers: What they call.
        folder: Of the files that are written.
        stack: What closes the connections.
    """

    def __init__(self, servers: Servers, folder: Path, stack: ExitStack) -> None:
        self._calls: Mapping[str, Call] = {
            PING: _ping(servers, stack),
            SQLITE: _sqlite(folder, stack),
            POSTGRESQL: _postgresql(servers, stack),
            CONFIRM: _confirm(servers, stack),
            DISK: _disk(folder, stack),
        }

    def measure(self, calls: int) -> Mapping[str, float]:
        """Return the median of so many calls of each, in microseconds, called in turn."""
        times: dict[str, list[float]] = {name: [] for name in self._calls}
        for _ in range(calls):
            for name, call in self._calls.items():
                began = time.perf_counter()
                call()
                times[name].append(time.perf_counter() - began)
        return {name: _microseconds(each) for name, each in times.items()}


def _microseconds(seconds: Sequence[float]) -> float:
    return round(statistics.median(seconds) * 1e6, 1)


def _ping(servers: Servers, stack: ExitStack) -> Call:
    client = stack.enter_context(closing(Redis.from_url(servers.valkey.url)))
    return client.ping


def _sqlite(folder: Path, stack: ExitStack) -> Call:
    path = folder / "floor.db"
    database = stack.enter_context(closing(sqlite3.connect(path, isolation_level=None)))
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE floor (number INTEGER)")
    return lambda: database.execute("INSERT INTO floor VALUES (1)")


def _postgresql(servers: Servers, stack: ExitStack) -> Call:
    address = servers.database("postgresql").replace("+psycopg", "")
    connection = stack.enter_context(psycopg.connect(address, autocommit=True))
    connection.execute("CREATE TABLE floor (number INTEGER)")
    return lambda: connection.execute("INSERT INTO floor VALUES (1)")


def _confirm(servers: Servers, stack: ExitStack) -> Call:
    parameters = pika.URLParameters(servers.rabbitmq.url)
    parameters.heartbeat = 0  # it is not served between two rounds
    connection = stack.enter_context(closing(pika.BlockingConnection(parameters)))
    channel = connection.channel()
    channel.queue_declare("floor", durable=True)
    channel.confirm_delivery()
    kept = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
    return lambda: channel.basic_publish("", "floor", b"x" * 200, kept, mandatory=True)


def _disk(folder: Path, stack: ExitStack) -> Call:
    file = stack.enter_context((folder / "floor").open("wb", buffering=0))

    def call() -> None:
        file.write(b"x" * 4096)
        os.fdatasync(file.fileno())

    return call
