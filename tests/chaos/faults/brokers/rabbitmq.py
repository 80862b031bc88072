"""What befalls RabbitMQ: it stops, dies, blocks publishers, loses queues and connections."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from random import Random

from pika.exceptions import AMQPError

from tests.chaos.faults.nemesis import Nemesis, Strike
from tests.chaos.system.topology import QUEUES
from tests.servers.rabbitmq import RabbitMQ

LANE = "rabbitmq"
CONSUMER_TIMEOUT = 3000


class RabbitMQFaults:
    """The misfortunes of a RabbitMQ node; each ends with the node's full health."""

    def __init__(self, rabbitmq: RabbitMQ) -> None:
        self._node = rabbitmq

    def all(self) -> Sequence[Nemesis]:
        node = self._node
        return [
            self._of("stop", node.stop, 0, 1),
            self._of("kill", node.kill, 0, 1),
            self._of("freeze", node.freeze),
            self._of("memory alarm", lambda: node.memory_alarm(on=True)),
            self._of("disk alarm", lambda: node.disk_alarm(on=True)),
            self._of("close connections", node.close_all_connections, 0, 0.5),
            self._of("delete a queue", None, 0, 0.5),
            self._of("consumer timeout", lambda: node.consumer_timeout(CONSUMER_TIMEOUT), 4, 6),
        ]

    def _of(
        self,
        what: str,
        do: Callable[[], None] | None,
        shortest: float = 0.5,
        longest: float = 3,
    ) -> Nemesis:
        strike = self._delete_a_queue if do is None else self._until_healed(do, what)
        return Nemesis(f"rabbitmq: {what}", LANE, strike, shortest, longest)

    def _until_healed(self, do: Callable[[], None], what: str) -> Strike:
        @contextmanager
        def strike(rng: Random) -> Iterator[str]:
            do()
            try:
                yield what
            finally:
                self._node.heal()

        return strike

    @contextmanager
    def _delete_a_queue(self, rng: Random) -> Iterator[str]:
        queue = rng.choice(QUEUES)
        lost = 0
        with suppress(AMQPError):
            lost = self._node.delete_queue(f"failsoft-{queue}")
        yield f"{queue} with {lost} messages"
