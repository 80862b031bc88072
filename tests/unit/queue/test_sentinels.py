"""Which primary is found when Sentinels disagree, or do not answer."""

from collections.abc import Mapping
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.sentinel import MasterNotFoundError

from failsoft.queue.sentinels import SentinelQuorum


class Watcher:
    """What one Sentinel says of the service."""

    def __init__(self, ip: str, epoch: int, *, is_down: bool = False, answers: bool = True) -> None:
        self._state = {
            "ip": ip,
            "port": 6379,
            "config-epoch": epoch,
            "is_master": True,
            "is_sdown": is_down,
            "is_odown": False,
            "num-other-sentinels": 2,
        }
        self.answers = answers
        self.asked = 0

    def sentinel_masters(self) -> Mapping[str, Any]:
        self.asked += 1
        if not self.answers:
            raise RedisConnectionError("away")
        return {"main": self._state}


def quorum(*watchers: Watcher) -> SentinelQuorum:
    made: Any = SentinelQuorum([("a", 1)])
    made.sentinels = list(watchers)
    return made  # type: ignore[no-any-return]  # redis-py has no types here


def test_a_sentinel_that_is_parted_is_not_believed() -> None:
    found = quorum(Watcher("old", 1), Watcher("new", 2), Watcher("new", 2)).discover_master("main")

    assert found == ("new", 6379)


def test_no_more_than_a_majority_is_asked() -> None:
    watchers = [Watcher("here", 1) for _ in range(3)]

    quorum(*watchers).discover_master("main")

    assert [each.asked for each in watchers] == [1, 1, 0]


def test_those_that_do_not_answer_are_asked_last_the_next_time() -> None:
    away, *others = Watcher("here", 1, answers=False), Watcher("here", 1), Watcher("here", 1)
    sentinels = quorum(away, *others)

    for _ in range(3):
        assert sentinels.discover_master("main") == ("here", 6379)

    assert (away.asked, [each.asked for each in others]) == (1, [3, 3])


def test_one_that_answers_is_believed_where_no_other_does() -> None:
    away = [Watcher("here", 1, answers=False) for _ in range(2)]

    assert quorum(*away, Watcher("here", 1)).discover_master("main") == ("here", 6379)


def test_the_former_primary_is_not_taken_while_the_new_one_is_down() -> None:
    with pytest.raises(MasterNotFoundError, match="2 of 3 Sentinels"):
        quorum(
            Watcher("old", 1), Watcher("new", 2, is_down=True), Watcher("new", 2)
        ).discover_master("main")
