"""The token bucket."""

from datetime import timedelta

from failsoft.dispatcher.maintenance.token_bucket import TokenBucket
from failsoft.testing import FrozenClock


def taken(bucket: TokenBucket, tries: int) -> int:
    return sum(bucket.take() for _ in range(tries))


def test_so_many_are_given_at_once_and_no_more() -> None:
    bucket = TokenBucket(rate=2, burst=5, clock=FrozenClock())

    assert taken(bucket, 10) == 5


def test_so_many_are_given_a_second() -> None:
    clock = FrozenClock()
    bucket = TokenBucket(rate=2, burst=5, clock=clock)
    taken(bucket, 5)

    clock.advance(timedelta(seconds=1.5))

    assert taken(bucket, 10) == 3


def test_half_a_token_is_none_and_is_not_lost() -> None:
    clock = FrozenClock()
    bucket = TokenBucket(rate=1, burst=1, clock=clock)
    taken(bucket, 1)

    clock.advance(timedelta(seconds=0.5))
    assert not bucket.take()

    clock.advance(timedelta(seconds=0.5))
    assert bucket.take()


def test_a_long_rest_fills_the_bucket_and_no_more() -> None:
    clock = FrozenClock()
    bucket = TokenBucket(rate=2, burst=5, clock=clock)
    taken(bucket, 5)

    clock.advance(timedelta(days=1))

    assert taken(bucket, 10) == 5
