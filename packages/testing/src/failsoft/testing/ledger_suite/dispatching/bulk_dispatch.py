# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises when many jobs are recorded in one commit."""

import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from failsoft.job_engine.policies.uniqueness import UniqueKey, UniqueScope
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.states import JobState
from failsoft.testing.ledger_suite.fixtures import (
    FIRST,
    LONG,
    SECOND,
    expect_sound_history,
    new_job,
    plan,
    raises,
)
from failsoft.testing.ledger_suite.races import PATIENCE, both

MANY = 40
ROUNDS = 3
#: What no clock has a moment for.
NEVER = timedelta.max


class BulkDispatchPromises:
    """`record_jobs`: what `record_job` promises, of all of them or of none."""

    def test_many_jobs_are_answered_in_the_order_given(self, ledger: Ledger) -> None:
        """Whichever order suits the ledger, with keys and without."""
        given = [*_keyed("c", "a", "d"), new_job(), *_keyed("b"), new_job()]

        answers = ledger.record_jobs([(new, plan()) for new in given])

        assert [job.id for job, _ in answers] == [new.id for new in given]
        assert all(created for _, created in answers)
        assert [job for job, _ in answers] == [ledger.get(new.id) for new in given]

    def test_each_of_many_keeps_what_is_its_own(self, ledger: Ledger) -> None:
        """Its engine or its delay, its queue, its priority and its keys."""
        held = UniqueKey("a-key", UniqueScope.INCOMPLETE)
        now = new_job(priority=5, queue="urgent", idempotency_key="z", payload='{"user_id": 1}')
        later = new_job(priority=-5, unique=held, delay=LONG)

        (first, _), (second, _), (third, _) = ledger.record_jobs(
            [(now, plan(SECOND, LONG)), (later, None), (new_job(), plan(FIRST))]
        )

        assert (first.state, first.engine, first.epoch) == (JobState.OFFERED, SECOND, 1)
        assert (first.priority, first.queue, first.idempotency_key) == (5, "urgent", "z")
        assert (first.payload, first.unique_key) == ('{"user_id": 1}', None)
        assert (second.state, second.engine, second.epoch) == (JobState.SCHEDULED, None, 0)
        assert (second.priority, second.unique_key, second.idempotency_key) == (-5, held.key, None)
        assert _waits_about(second, LONG)
        assert (third.state, third.engine, third.priority) == (JobState.OFFERED, FIRST, 0)

    def test_each_of_many_has_its_own_history(self, ledger: Ledger) -> None:
        """It begins in the same commit (rule 22)."""
        answers = ledger.record_jobs([(new_job(), plan(SECOND)), (new_job(), None)])

        for (job, _), engine in zip(answers, (SECOND, None), strict=True):
            (event,) = ledger.events(job.id)
            assert (event.kind, event.detail.get("engine")) == ("dispatch", engine)
            expect_sound_history(ledger, job.id)

    def test_no_reader_sees_a_part_of_many(self, ledger: Ledger) -> None:
        """One commit makes all of them."""
        _, seen = both(
            partial(ledger.record_jobs, [(new_job(), plan()) for _ in range(MANY)]),
            partial(_counts_until, ledger, MANY),
        )

        assert seen <= {0, MANY}

    def test_a_known_key_among_many_leads_to_its_job(self, ledger: Ledger) -> None:
        """As it is; the others are made (I10)."""
        known, _ = ledger.record_job(*_offer(_keyed("k")[0]))
        held, _ = ledger.record_job(*_offer(_united("u")[0]))

        answers = ledger.record_jobs(
            [_offer(new) for new in (*_keyed("z", "k"), new_job(), *_united("u"))]
        )

        assert [created for _, created in answers] == [True, False, True, False]
        assert (answers[1][0], answers[3][0]) == (known, held)
        assert [len(ledger.events(job.id)) for job in (known, held)] == [1, 1]
        assert sum(ledger.counts().values()) == 4  # noqa: PLR2004 - two before, two new

    def test_a_key_that_stands_twice_among_many_makes_one_job(self, ledger: Ledger) -> None:
        """The first of them; the second is answered with it."""
        for pair in (_keyed("k", "k"), _united("u", "u")):
            given = [pair[0], new_job(), pair[1]]

            (first, _), (between, _), (second, _) = answers = ledger.record_jobs(
                [_offer(new) for new in given]
            )

            assert [created for _, created in answers] == [True, True, False]
            assert (first.id, between.id, second) == (given[0].id, given[1].id, first)

    def test_many_with_one_that_cannot_be_recorded_leave_nothing_behind(
        self, ledger: Ledger
    ) -> None:
        """Neither jobs nor events nor used keys: all of them, or none."""
        good, bad = [*_keyed("a"), *_united("b")], new_job(idempotency_key="z", delay=NEVER)
        before, _ = ledger.record_job(new_job(), plan())

        given = [_offer(good[0]), (bad, None), _offer(good[1])]
        assert raises(Exception, lambda: ledger.record_jobs(given))

        assert [job.id for job in ledger.list_jobs()] == [before.id]
        again = ledger.record_jobs([_offer(new) for new in good])
        assert [created for _, created in again] == [True, True]
        for new in good:
            expect_sound_history(ledger, new.id)

    def test_none_at_all_are_no_error(self, ledger: Ledger) -> None:
        """Nothing is answered and nothing is stored."""
        assert list(ledger.record_jobs([])) == []
        assert sum(ledger.counts().values()) == 0

    def test_many_that_are_recorded_again_are_found(self, ledger: Ledger) -> None:
        """A commit whose reply was lost finds its own rows when it is repeated (F22)."""
        given = [_offer(new) for new in (*_keyed("b", "a"), new_job(), *_united("u"))]
        first = [job for job, _ in ledger.record_jobs(given)]

        again = ledger.record_jobs(given)

        assert list(again) == [(job, False) for job in first]
        assert [len(ledger.events(job.id)) for job in first] == [1] * len(first)

    def test_many_in_opposite_orders_do_not_wait_for_each_other(self, ledger: Ledger) -> None:
        """Both calls come back, and of each key there is one job."""
        for turn in range(ROUNDS):
            keys = [f"{turn} {n:02}" for n in range(MANY)]
            for make in (_keyed, _united, _named, _with_ids):
                rivals = make(*keys), make(*reversed(keys))

                there, back = both(*(partial(_record_all, ledger, each) for each in rivals))

                assert [job.id for job, _ in there] == [job.id for job, _ in reversed(back)]
                assert sum(created for _, created in (*there, *back)) == MANY

    def test_many_with_two_keys_crosswise_do_not_wait_for_each_other(self, ledger: Ledger) -> None:
        """No order of one kind of key is one of the other, and yet both calls come back."""
        for turn in range(ROUNDS):
            for others in (_straight, _crossed, _keyed, _united):
                keys = [f"{others.__name__} {turn} {n:02}" for n in range(MANY)]
                rivals = _straight(*reversed(keys)), others(*keys)

                answers = both(*(partial(_record_all, ledger, each) for each in rivals))

                assert [len(each) for each in answers] == [MANY, MANY]
                made = [job for each in answers for job, created in each if created]
                for held in ("idempotency_key", "unique_key"):
                    values = [key for job in made if (key := getattr(job, held)) is not None]
                    assert len(values) == len(set(values)) <= MANY

    def test_of_two_with_one_key_the_first_given_is_made(self, ledger: Ledger) -> None:
        """Also where their other keys would put the second first."""
        for keys in (("b", "a"), ("a", "b")):
            given = [_two_keys(f"{keys}", unique) for unique in keys]

            (first, created), (second, again) = _record_all(ledger, given)

            assert (first.id, created, second, again) == (given[0].id, True, first, False)


def _keyed(*keys: str) -> list[NewJob]:
    return [new_job(idempotency_key=key) for key in keys]


def _united(*keys: str) -> list[NewJob]:
    return [new_job(unique=UniqueKey(key, UniqueScope.INCOMPLETE)) for key in keys]


def _named(*keys: str) -> list[NewJob]:
    """Return jobs of as many definitions that have one key."""
    return [new_job(name=f"job_{key.replace(' ', '_')}", idempotency_key="same") for key in keys]


def _with_ids(*keys: str) -> list[NewJob]:
    return [new_job(id=f"id-{key.replace(' ', '-')}") for key in keys]


def _two_keys(key: str, unique: str) -> NewJob:
    return new_job(idempotency_key=key, unique=UniqueKey(unique, UniqueScope.INCOMPLETE))


def _straight(*keys: str) -> list[NewJob]:
    return list(map(_two_keys, keys, keys))


def _crossed(*keys: str) -> list[NewJob]:
    half = len(keys) // 2
    return list(map(_two_keys, keys, (*keys[half:], *keys[:half])))


def _record_all(ledger: Ledger, given: Sequence[NewJob]) -> Sequence[tuple[JobRecord, bool]]:
    return ledger.record_jobs([_offer(new) for new in given])


def _offer(new: NewJob) -> tuple[NewJob, OfferPlan]:
    return new, plan()


def _waits_about(job: JobRecord, span: timedelta) -> bool:
    assert job.run_at is not None
    return timedelta(0) <= job.run_at - job.created_at - span < timedelta(seconds=5)


def _counts_until(ledger: Ledger, count: int) -> set[int]:
    """Count the jobs until there are `expected`; return all the counts."""
    seen, patience_ends, pause = set[int](), time.monotonic() + PATIENCE, threading.Event()
    while count not in seen:
        assert time.monotonic() < patience_ends, f"expected {count} jobs, got {seen}"
        seen.add(sum(ledger.counts().values()))
        pause.wait(0.001)
    return seen
