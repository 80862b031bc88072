"""A queue in Redis from which messages are taken by their ids, many at a time and for good.

Each step is one script: a message is in its queue, or with a drain, or finished. Of several drains
of one queue, the one that finishes a message or gives it back decides about it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis

from failsoft.api import EngineUnavailableError

#: Takes messages out of their list, or their sorted set, and keeps their ids and their moments: a
#: worker of the old engine has one, or the drain.
_TAKE = """
local taken = {}
for place = 1, #ARGV, 2 do
  local id, score = ARGV[place], ARGV[place + 1]
  local command = score == '' and {'lrem', KEYS[1], 1, id} or {'zrem', KEYS[1], id}
  local found = redis.call(unpack(command))
  if found == 1 then
    redis.call('hset', KEYS[2], id, score)
  end
  taken[#taken + 1] = found
end
return taken
"""

#: Forgets messages that were taken, with what they say: a key for each, or a field of one.
_FINISH = """
for place = 2, #ARGV do
  if redis.call('hdel', KEYS[1], ARGV[place]) == 1 then
    if ARGV[1] == 'own' then
      redis.call('del', KEYS[place])
    else
      redis.call('hdel', KEYS[2], ARGV[place])
    end
  end
end
"""

#: Puts a message that was taken back, unless another drain has finished it.
_GIVE_BACK = """
if redis.call('hdel', KEYS[2], ARGV[1]) == 0 then
  return 0
end
if ARGV[2] == '' then
  redis.call('rpush', KEYS[1], ARGV[1])
else
  redis.call('zadd', KEYS[1], ARGV[2], ARGV[1])
end
return 1
"""


class RedisQueue:
    """The ids in a list or a sorted set of Redis, and those that were taken from there."""

    def __init__(
        self,
        client: "redis.Redis",
        waiting: str,
        taken: str,
        body_of: Callable[[str], str] | str,
    ) -> None:
        """Stand for the keys of a queue.

        Args:
            client: The connection; it returns bytes.
            waiting: The key of the list, or of the sorted set.
            taken: The key of the hash with what was taken: the score by the id, or nothing.
            body_of: Returns the key that has what a message says, by its id; or the key of the
                hash that has it of all.
        """
        self._client = client
        self._waiting = waiting
        self._taken = taken
        self._body_of = body_of
        self._take = client.register_script(_TAKE)
        self._finish = client.register_script(_FINISH)
        self._give_back = client.register_script(_GIVE_BACK)

    def waiting(self) -> list[tuple[str, str]]:
        """Return the ids that wait, each with its score in a sorted set, the oldest first."""
        with answering():
            if self._client.type(self._waiting) == b"zset":
                found: Any = self._client.zrange(self._waiting, 0, -1, withscores=True)
                return [(each.decode(), repr(score)) for each, score in found]
            ids: Any = self._client.lrange(self._waiting, 0, -1)
        return [(each.decode(), "") for each in ids]

    def taken(self) -> list[tuple[str, str]]:
        """Return the ids that were taken and not finished, each with its score."""
        with answering():
            found: Any = self._client.hgetall(self._taken)
        return [(each.decode(), score.decode()) for each, score in found.items()]

    def is_waiting(self, message_id: str, score: str) -> bool:
        """Return whether an id waits."""
        with answering():
            if score:
                return self._client.zscore(self._waiting, message_id) is not None
            return self._client.lpos(self._waiting, message_id) is not None

    def take(self, messages: Sequence[tuple[str, str]]) -> Sequence[bool]:
        """Take ids, each with its score; return of each whether it was still there."""
        given = [part for each in messages for part in each]
        with answering():
            found: Any = self._take(keys=[self._waiting, self._taken], args=given)
        return [bool(each) for each in found]

    def finish(self, ids: Sequence[str]) -> None:
        """Forget ids that were taken, with what they say."""
        if callable(self._body_of):
            kind, bodies = "own", [self._body_of(each) for each in ids]
        else:
            kind, bodies = "shared", [self._body_of]
        with answering():
            self._finish(keys=[self._taken, *bodies], args=[kind, *ids])

    def give_back(self, message_id: str, score: str) -> bool:
        """Put an id that was taken back; False if another drain has done with it meanwhile."""
        with answering():
            given = [message_id, score]
            return bool(self._give_back(keys=[self._waiting, self._taken], args=given))


@contextmanager
def answering() -> Iterator[None]:
    """Translate errors of Redis.

    Raises:
        EngineUnavailableError: It did not answer, or refused a command.
    """
    try:
        yield
    except redis.RedisError as error:
        raise EngineUnavailableError(
            f"expected a Redis that answers, got {type(error).__name__}: {error}"
        ) from error


def connected(url: str) -> "redis.Redis":
    """Return a client that does not send a command twice.

    Raises:
        EngineUnavailableError: The URL is none of Redis.
    """
    try:
        return redis.Redis.from_url(url, retry=None, socket_timeout=5, socket_connect_timeout=5)
    except ValueError as error:
        raise EngineUnavailableError(
            f"expected the URL of a Redis, as redis://host:6379/0, got another one: {error}"
        ) from error
