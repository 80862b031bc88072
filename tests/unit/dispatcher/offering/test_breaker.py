"""The breaker: open at the first failure, close slowly."""

import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from failsoft.dispatcher.offering.breaker import Breaker, BreakerPolicy
from failsoft.testing import FrozenClock

SECOND = timedelta(seconds=1)


class Bench:
    def __init__(self, policy: BreakerPolicy | None = None, seed: int = 7) -> None:
        self.clock = FrozenClock()
        self.breaker = Breaker(policy or BreakerPolicy(), self.clock, random.Random(seed))

    def healthy(self, times: int = 1) -> bool:
        """Note healthy probes; return whether the last one closed the breaker."""
        return [self.breaker.note_probe(healthy=True, detail="wrote") for _ in range(times)][-1]

    def reopen_and_close(self) -> None:
        self.breaker.fail("timed out")
        self.clock.advance(2 * SECOND)
        assert self.healthy(3)


def share(decide: Callable[[], bool]) -> float:
    return sum(decide() for _ in range(2000)) / 2000


def test_an_engine_is_trusted_until_it_fails() -> None:
    breaker = Bench().breaker

    assert (breaker.is_open, breaker.state, breaker.admits()) == (False, "closed", True)


def test_the_first_failure_opens_it_and_says_why() -> None:
    breaker = Bench().breaker

    assert breaker.fail("timed out")
    assert (breaker.is_open, breaker.state, breaker.admits()) == (True, "open", False)
    assert breaker.reason == "timed out"


def test_a_further_failure_opens_nothing_new() -> None:
    breaker = Bench().breaker
    breaker.fail("timed out")

    assert not breaker.fail("refused")
    assert breaker.reason == "refused"


def test_it_closes_after_enough_healthy_probes_in_a_row() -> None:
    bench = Bench()
    bench.breaker.fail("timed out")
    bench.clock.advance(2 * SECOND)

    closed = [bench.healthy() for _ in range(3)]

    assert closed == [False, False, True]
    assert not bench.breaker.is_open


def test_one_bad_probe_makes_the_row_begin_again() -> None:
    bench = Bench()
    bench.breaker.fail("timed out")
    bench.clock.advance(2 * SECOND)
    bench.healthy(2)

    bench.breaker.note_probe(healthy=False, detail="lost a write")

    assert bench.breaker.reason == "lost a write"
    assert [bench.healthy() for _ in range(3)] == [False, False, True]


def test_one_failed_offer_makes_the_row_begin_again() -> None:
    bench = Bench()
    bench.breaker.fail("timed out")
    bench.clock.advance(2 * SECOND)
    bench.healthy(2)

    bench.breaker.fail("timed out")

    assert [bench.healthy() for _ in range(3)] == [False, False, True]


def test_it_stays_open_for_a_while_however_healthy_the_engine_looks() -> None:
    bench = Bench(BreakerPolicy(min_open=10 * SECOND))
    bench.breaker.fail("timed out")
    bench.clock.advance(9 * SECOND)
    assert not bench.healthy(20)

    bench.clock.advance(SECOND)

    assert bench.healthy()


def test_healthy_probes_of_a_closed_breaker_close_nothing() -> None:
    assert not Bench().healthy(10)


def test_healthy_probes_from_before_it_opened_do_not_count() -> None:
    bench = Bench(BreakerPolicy(min_open=timedelta(0)))
    bench.healthy(10)

    bench.breaker.fail("timed out")

    assert [bench.healthy() for _ in range(3)] == [False, False, True]


def test_a_closed_breaker_is_not_probed() -> None:
    bench = Bench()
    bench.clock.advance(timedelta(hours=1))

    assert not bench.breaker.probe_due()


def test_an_open_breaker_is_probed_every_so_often_and_by_one_caller() -> None:
    bench = Bench()
    bench.breaker.fail("timed out")
    assert not bench.breaker.probe_due()

    bench.clock.advance(1.2 * SECOND)

    assert [bench.breaker.probe_due() for _ in range(3)] == [True, False, False]


def test_many_processes_do_not_probe_at_the_same_moment() -> None:
    benches = [Bench(seed=seed) for seed in range(20)]
    for bench in benches:
        bench.breaker.fail("timed out")
        bench.clock.advance(SECOND)

    due = sum(bench.breaker.probe_due() for bench in benches)

    assert 0 < due < 20


def test_offers_come_back_little_by_little() -> None:
    bench = Bench(BreakerPolicy(ramp=10 * SECOND))
    bench.reopen_and_close()
    assert bench.breaker.state == "ramping"

    shares = []
    for _ in range(4):
        shares.append(share(bench.breaker.admits))
        bench.clock.advance(3 * SECOND)

    assert shares == [pytest.approx(expected, abs=0.05) for expected in (0.1, 0.4, 0.7, 1.0)]
    assert bench.breaker.state == "closed"


def test_without_a_ramp_all_offers_come_back_at_once() -> None:
    bench = Bench(BreakerPolicy(ramp=timedelta(0)))
    bench.reopen_and_close()

    assert share(bench.breaker.admits) == 1
    assert bench.breaker.state == "closed"


def test_it_opens_again_while_it_ramps() -> None:
    bench = Bench()
    bench.reopen_and_close()

    assert bench.breaker.fail("timed out")
    assert not bench.breaker.admits()
