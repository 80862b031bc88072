# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises when many offers are handed over at once."""

from functools import partial

from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.states import JobState
from failsoft.testing.ledger_suite.fixtures import (
    FIRST,
    LONG,
    MOMENT,
    QUEUE,
    SECOND,
    SUCCESS,
    PassTime,
    claimed,
    expect_sound_history,
    offered,
    plan,
    reoffered,
    started,
    ticket,
    waiting,
)
from failsoft.testing.ledger_suite.races import at_once, both

CROWD = 4
MANY = 20


class HandOverPromises:
    """`oldest_offers`, `begun_lately`, `movable`, `offer_many` (rules 4, 5 and 29)."""

    def test_many_offers_are_handed_over_at_once(self, ledger: Ledger) -> None:
        """Each with an epoch and an event of its own, as one that is handed over alone."""
        alone = reoffered(ledger, offered(ledger).id, SECOND)
        seen = [offered(ledger) for _ in range(3)]

        moved = ledger.offer_many(seen, plan(SECOND))

        assert [job.id for job in moved] == [job.id for job in seen]
        assert list(moved) == [ledger.get(job.id) for job in seen]
        for job in moved:
            assert _brief(job) == _brief(alone)
            assert ledger.events(job.id)[-1].detail == ledger.events(alone.id)[-1].detail
            expect_sound_history(ledger, job.id)

    def test_the_messages_of_before_are_void_after_a_hand_over_of_many(
        self, ledger: Ledger
    ) -> None:
        """Whichever engine delivers them, and however late (I8)."""
        seen = [offered(ledger) for _ in range(3)]

        moved = ledger.offer_many(seen, plan(SECOND))

        assert [ledger.claim(ticket(job)) for job in seen] == [None, None, None]
        assert all(claimed(ledger, job).engine == SECOND for job in moved)

    def test_no_deadline_passes_sooner_than_planned(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """It counts from the hand-over, on the database's clock."""
        seen = [offered(ledger, pickup=MOMENT)]
        pass_time(MOMENT)

        (moved,) = ledger.offer_many(seen, plan(SECOND, LONG))

        assert not ledger.unclaimed(10)
        assert moved.pickup_by is not None
        assert seen[0].pickup_by is not None
        assert moved.pickup_by - seen[0].pickup_by >= LONG

    def test_what_changed_since_it_was_seen_is_not_handed_over(self, ledger: Ledger) -> None:
        """It was claimed, offered again, cancelled or parked, or it has ended."""
        taken, again, cancelled, parked, ended = seen = [offered(ledger) for _ in range(5)]
        still = offered(ledger)
        claimed(ledger, taken)
        reoffered(ledger, again.id)
        ledger.cancel(cancelled.id, "ada")
        ledger.park(parked, LONG, "no engine")
        ledger.conclude(claimed(ledger, ended), SUCCESS)
        before = [ledger.get(job.id) for job in seen]

        moved = ledger.offer_many([*seen, still], plan(SECOND))

        assert [job.id for job in moved] == [still.id]
        assert [ledger.get(job.id) for job in seen] == before

    def test_a_job_that_does_not_wait_at_an_engine_is_not_handed_over_with_others(
        self, ledger: Ledger
    ) -> None:
        """It is neither due nor lost, whatever was seen of it."""
        running = ledger.get(started(ledger).job_id)
        scheduled = waiting(ledger)

        assert not ledger.offer_many([running, scheduled], plan(SECOND))
        assert [ledger.get(job.id) for job in (running, scheduled)] == [running, scheduled]

    def test_no_offers_are_handed_over(self, ledger: Ledger) -> None:
        """None were seen."""
        assert not ledger.offer_many([], plan(SECOND))

    def test_a_crowd_of_rescuers_hands_each_offer_over_once(self, ledger: Ledger) -> None:
        """Two that saw the same move each job once, and leave none behind."""
        seen = [offered(ledger) for _ in range(MANY)]

        moves = at_once([partial(ledger.offer_many, seen, plan(SECOND))] * CROWD)
        rest = ledger.offer_many([ledger.get(job.id) for job in seen], plan(FIRST))

        moved = [job.id for move in moves for job in move]
        assert sorted(moved) == sorted(job.id for job in seen)
        assert [job.epoch for job in rest] == [3] * MANY
        for job in seen:
            expect_sound_history(ledger, job.id)

    def test_a_claim_and_a_hand_over_of_many_do_not_both_win(self, ledger: Ledger) -> None:
        """One row, two compare-and-sets (R7)."""
        for _ in range(CROWD):
            seen = [offered(ledger) for _ in range(3)]

            claim, moved = both(
                partial(ledger.claim, ticket(seen[1])),
                partial(ledger.offer_many, seen, plan(SECOND)),
            )

            assert (claim is None) is (seen[1].id in {job.id for job in moved})
            assert {seen[0].id, seen[2].id} <= {job.id for job in moved}

    def test_the_offers_are_found_that_another_engine_may_get(self, ledger: Ledger) -> None:
        """By engine and queue, the nearest deadline first, whether it has passed or not."""
        late = offered(ledger, pickup=-MOMENT)
        later = offered(ledger, pickup=LONG, engines=(FIRST, SECOND))
        soon = offered(ledger, pickup=MOMENT, engines=("third", SECOND))
        offered(ledger, engines=(FIRST,))
        offered(ledger, queue="another")
        offered(ledger, SECOND)
        started(ledger)
        often = offered(ledger)
        for engine in (SECOND, FIRST):
            reoffered(ledger, often.id, engine)

        found = ledger.movable(FIRST, QUEUE, 10, to=(SECOND,), handoffs_below=2)
        more = ledger.movable(FIRST, QUEUE, 2, to=(SECOND, "third"), handoffs_below=3)

        assert list(found) == [ledger.get(job.id) for job in (late, soon, later)]
        assert [job.id for job in more] == [late.id, soon.id]

    def test_the_oldest_offer_of_each_engine_and_queue_is_found(self, ledger: Ledger) -> None:
        """That with the nearest deadline, whether it has passed or not."""
        second = offered(ledger, pickup=LONG)
        first = offered(ledger, pickup=MOMENT)
        elsewhere = offered(ledger, SECOND, pickup=-MOMENT)
        another = offered(ledger, queue="another")
        started(ledger)

        found = {(job.engine, job.queue): job.id for job in ledger.oldest_offers()}

        assert found == {
            (FIRST, QUEUE): first.id,
            (SECOND, QUEUE): elsewhere.id,
            (FIRST, "another"): another.id,
        }
        assert second.id not in found.values()

    def test_what_is_unclaimed_at_one_engine_hides_nothing_at_another(self, ledger: Ledger) -> None:
        """Nor in another queue: the limit is each engine's and each queue's."""
        for _ in range(3):
            offered(ledger, pickup=-LONG)
        others = [
            offered(ledger, SECOND, pickup=-MOMENT).id,
            offered(ledger, queue="another", pickup=-MOMENT).id,
        ]

        found = [job.id for job in ledger.unclaimed(1)]

        assert len(found) == 1 + len(others)
        assert set(others) < set(found)

    def test_an_attempt_that_has_just_begun_shows_that_its_engine_delivers(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """For as long as it runs, and no longer than the span."""
        lost = started(ledger)
        pass_time(LONG)
        reoffered(ledger, lost.job_id)
        offered(ledger, SECOND)
        begun = [ledger.begun_lately(FIRST, MOMENT)]

        claim = started(ledger)
        begun.append(ledger.begun_lately(FIRST, MOMENT))
        elsewhere = ledger.begun_lately(SECOND, MOMENT)
        pass_time(2 * MOMENT)
        begun.append(ledger.begun_lately(FIRST, MOMENT))
        ledger.conclude(claim, SUCCESS)
        begun.append(ledger.begun_lately(FIRST, LONG))

        assert begun == [False, True, False, False]
        assert not elsewhere
        assert ledger.get(claim.job_id).state is JobState.SUCCEEDED


def _brief(job: JobRecord) -> tuple[object, ...]:
    return (
        *(job.state, job.engine, job.epoch, job.revision),
        *(job.handoffs, job.pickups_missed, job.claims, job.run_at),
    )
