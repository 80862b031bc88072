"""Finding the primary behind Sentinels when some of them, or the former primary, are parted.

redis-py takes the answer of the first Sentinel that gives one, and stays with a primary that
answers. A client that is in the minority with both would have its offers refused until the
partition heals (RS-08).
"""

from functools import cache
from typing import Any

from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.sentinel import MasterNotFoundError, Sentinel

#: How a primary without its replicas refuses a write, where `min-replicas-to-write` is set.
_PARTED = "NOREPLICAS"


class SentinelQuorum(Sentinel):
    """Sentinels of which a majority is asked, as long as so many answer.

    A promotion takes a majority, so that one of them has recorded it.

    Attributes:
        sentinels: A client for each, those that answered last first.
    """

    sentinels: list[Any]

    def discover_master(self, service_name: str) -> tuple[str, int]:
        """Return where the primary is by the newest configuration that was found.

        Raises:
            MasterNotFoundError: No Sentinel answers, or the newest primary is down.
        """
        answered: list[Any] = []
        silent: list[Any] = []
        states: list[Any] = []
        majority = len(self.sentinels) // 2 + 1
        for sentinel in self.sentinels:
            if len(answered) == majority:
                break
            try:
                masters: Any = sentinel.sentinel_masters()
            except (RedisConnectionError, RedisTimeoutError):
                silent.append(sentinel)
                continue
            answered.append(sentinel)
            states += [masters[service_name]] if service_name in masters else []
        # Those that do not answer would cost their timeout the next time, too.
        self.sentinels = [*(each for each in self.sentinels if each not in silent), *silent]
        newest = max((_epoch(each) for each in states), default=0)
        for state in states:
            if _epoch(state) == newest and self.check_master_state(state, service_name):  # type: ignore[no-untyped-call]  # redis-py's
                return state["ip"], state["port"]
        raise MasterNotFoundError(
            f"expected a primary of {service_name!r} that is up, got none from "
            f"{len(answered)} of {len(self.sentinels)} Sentinels"
        )


def _epoch(state: Any) -> int:
    return int(state.get("config-epoch", 0))


class _LeavesParted:
    """A connection that finds its primary anew once that refuses for want of replicas.

    Mixed into a connection of redis-py's.
    """

    _is_parted = False

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().read_response(*args, **kwargs)  # type: ignore[misc]  # of the class beside this
        except ResponseError as error:
            self._is_parted |= _PARTED in str(error)
            raise

    def connect(self) -> None:
        # Not where the refusal was read: replies of a pipeline may be on their way.
        if self._is_parted:
            self._is_parted = False
            self.disconnect()  # type: ignore[attr-defined]  # likewise
        super().connect()  # type: ignore[misc]  # likewise


def leave_parted(pool: ConnectionPool) -> None:
    """Let every connection that a pool of Sentinels makes leave a primary without replicas."""
    pool.connection_class = _leaving(pool.connection_class)


@cache
def _leaving(kind: Any) -> Any:
    return type(f"Leaving{kind.__name__}", (_LeavesParted, kind), {})
