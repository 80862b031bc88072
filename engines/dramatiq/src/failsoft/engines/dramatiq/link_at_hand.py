"""The connection to RabbitMQ that is kept at hand: to take it waits for nothing.

To connect may take any time, and so may what pika waits for; both belong to the thread that offers.
A message on a connection that stands has a deadline, so it needs no thread that is given up.
"""

import os
import threading
from dataclasses import dataclass
from typing import Any

from failsoft.engines.dramatiq.rabbitmq_publisher import ConfirmedPublisher


@dataclass(frozen=True, slots=True)
class Link:
    """A connection with what is open on it.

    Attributes:
        connection: Pika's.
        channel: The channel on which queues are declared; None where there is none yet.
        publisher: Publishes on a channel of its own.
    """

    connection: Any
    channel: Any
    publisher: ConfirmedPublisher


class LinkAtHand:
    """At most one link, which one thread at a time takes, uses, and gives back.

    One is enough: callers that find it in use go to the thread that offers, which has another. More
    would be connections of every process to a RabbitMQ that takes the work of all of them.
    """

    _link: Link | None
    _is_there: bool
    _pid: int

    def __init__(self) -> None:
        self._reset()

    def take(self) -> Link | None:
        """Return the link if it is at hand; `give_back` or `lose` must follow."""
        if self._pid != os.getpid():
            # The parent's: it goes on using it (rule 21).
            self._reset()
        with self._lock:
            link, self._link = self._link, None
        return link

    def keep(self, link: Link) -> bool:
        """Keep a link, unless there is one, at hand or taken; return whether it is kept."""
        if self._pid != os.getpid():
            self._reset()
        with self._lock:
            is_kept = not self._is_there
            if is_kept:
                self._link, self._is_there = link, True
        return is_kept

    def give_back(self, link: Link) -> None:
        """Keep the link that was taken."""
        with self._lock:
            self._link = link

    def lose(self) -> None:
        """Let another link be kept in place of the one that was taken."""
        with self._lock:
            self._is_there = False

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._link = None
        self._is_there = False
        self._pid = os.getpid()
