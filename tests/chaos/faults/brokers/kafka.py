"""What befalls Kafka: it dies and forgets everything, or falls silent.

No topic of it is deleted: the process of a consumer may end for that (KA-02), and no
crash is to be charged that no strike explains.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random

from tests.chaos.faults.nemesis import Nemesis
from tests.servers.tansu import Tansu

LANE = "kafka"


class KafkaFaults:
    """The misfortunes of a broker that keeps everything in memory."""

    def __init__(self, broker: Tansu) -> None:
        self._broker = broker

    def all(self) -> Sequence[Nemesis]:
        return [
            Nemesis("kafka: restart empty", LANE, self._restart_empty, 0.2, 3),
            Nemesis("kafka: freeze", LANE, self._freeze, 0.5, 3),
            Nemesis("kafka: freeze longer than a session", LANE, self._freeze, 6.5, 8),
        ]

    @contextmanager
    def _restart_empty(self, rng: Random) -> Iterator[str]:
        self._broker.stop()
        try:
            yield "kill -9, and everything was in memory"
        finally:
            self._broker.start()

    @contextmanager
    def _freeze(self, rng: Random) -> Iterator[str]:
        self._broker.freeze()
        try:
            yield "SIGSTOP"
        finally:
            self._broker.thaw()
