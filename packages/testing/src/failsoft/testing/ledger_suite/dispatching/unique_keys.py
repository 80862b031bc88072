# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises of unique keys: one holder at a time, and none for ever."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from failsoft.job_engine.policies.uniqueness import UniqueKey, UniqueScope
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import Conclusion, JobRecord
from failsoft.job_engine.records.states import EXHAUST, RELEASE, TERMINAL, TRANSITIONS, JobState
from failsoft.testing.ledger_suite.fixtures import (
    CONCLUSIONS,
    ERROR,
    LONG,
    MOMENT,
    PassTime,
    claimed,
    new_job,
    offered,
    plan,
    reoffered,
    waiting,
)

INCOMPLETE = UniqueKey("a-key", UniqueScope.INCOMPLETE)
UNBEGUN = UniqueKey("b-key", UniqueScope.UNBEGUN)
FOR_LONG = UniqueKey("c-key", UniqueScope.PERIOD, LONG)
FOR_A_MOMENT = UniqueKey("d-key", UniqueScope.PERIOD, MOMENT)
DISPATCHERS = 8


def again(ledger: Ledger, key: UniqueKey, **changes: Any) -> tuple[JobRecord, bool]:
    """Dispatch another job with a unique key."""
    return ledger.record_job(new_job(unique=key, **changes), plan())


class UniqueKeyPromises:
    """`record_job` with a unique key: an index decides, and what holds it is a row (I10)."""

    def test_a_held_key_leads_to_its_holder(self, ledger: Ledger) -> None:
        """Whatever the other dispatch carried; nothing is stored."""
        for key in (INCOMPLETE, UNBEGUN, FOR_LONG):
            holder = offered(ledger, unique=key)

            found, created = again(ledger, key, payload="{}", payload_sha="other")

            assert (found, created) == (ledger.get(holder.id), False)
            assert (holder.unique_key, holder.unique_scope) == (key.key, key.scope)
            assert found == holder
        assert sum(ledger.counts().values()) == 3  # noqa: PLR2004 - one of each

    def test_a_key_is_that_of_one_definition(self, ledger: Ledger) -> None:
        """Others may use the same."""
        offered(ledger, unique=INCOMPLETE)

        assert again(ledger, INCOMPLETE, name="other")[1]
        assert again(ledger, UNBEGUN)[1]
        assert not again(ledger, UNBEGUN)[1]

    def test_the_key_of_a_job_that_has_not_ended_is_held(self, ledger: Ledger) -> None:
        """While it runs, when it waits for another attempt, and when a person must look."""
        for conclusion in CONCLUSIONS:
            if conclusion.transition.target in TERMINAL:
                continue
            claim = claimed(ledger, offered(ledger, unique=INCOMPLETE))
            assert not again(ledger, INCOMPLETE)[1]
            ledger.conclude(claim, conclusion)
            found, created = again(ledger, INCOMPLETE)
            assert (found.id, created) == (claim.job_id, False)
            ledger.cancel(claim.job_id, "a test")

    def test_a_retry_is_not_blocked_by_its_own_key(self, ledger: Ledger) -> None:
        """It is the same job, under another epoch."""
        claim = claimed(ledger, offered(ledger, unique=INCOMPLETE))
        ledger.conclude(claim, Conclusion(RELEASE))

        assert claimed(ledger, reoffered(ledger, claim.job_id)).job_id == claim.job_id

    def test_every_end_frees_the_key_of_an_incomplete_job(self, ledger: Ledger) -> None:
        """In the transaction of the terminal transition, whichever it is."""
        ends = {t.name for t in TRANSITIONS if t.target in TERMINAL}
        for conclusion in CONCLUSIONS:
            if conclusion.transition.name in ends:
                claim = claimed(ledger, offered(ledger, unique=INCOMPLETE))
                ledger.conclude(claim, conclusion)
                self._free(ledger)
        ledger.cancel(offered(ledger, unique=INCOMPLETE).id, "a test")
        self._free(ledger)
        late = offered(ledger, unique=INCOMPLETE, expires_in=timedelta(0))
        assert ledger.expire(late) is not None
        self._free(ledger)
        lost = claimed(ledger, offered(ledger, unique=INCOMPLETE))
        exhausted = ledger.exhaust(ledger.get(lost.job_id), ERROR)
        assert exhausted is not None
        assert exhausted.state is EXHAUST.target
        self._free(ledger)

    def _free(self, ledger: Ledger) -> None:
        found, created = again(ledger, INCOMPLETE)
        assert created
        ledger.cancel(found.id, "a test")

    def test_a_key_for_a_period_outlives_its_job_and_no_more(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """On the database's clock; then it never blocks again."""
        first = claimed(ledger, offered(ledger, unique=FOR_A_MOMENT))
        ledger.conclude(first, CONCLUSIONS[0])
        assert offered(ledger, unique=FOR_LONG).unique_until is not None

        pass_time(MOMENT)
        second, created = again(ledger, FOR_A_MOMENT)
        pass_time(MOMENT)
        third, created_again = again(ledger, FOR_A_MOMENT)

        assert created
        assert created_again
        assert len({first.job_id, second.id, third.id}) == 3  # noqa: PLR2004 - each another
        assert not again(ledger, FOR_LONG)[1]

    def test_a_job_keeps_running_when_its_period_is_over(
        self, ledger: Ledger, pass_time: PassTime
    ) -> None:
        """The next one may run beside it."""
        claim = claimed(ledger, offered(ledger, unique=FOR_A_MOMENT))
        pass_time(MOMENT)

        assert again(ledger, FOR_A_MOMENT)[1]
        assert ledger.conclude(claim, CONCLUSIONS[0]) is JobState.SUCCEEDED

    def test_the_first_claim_frees_the_key_of_a_job_that_was_not_begun(
        self, ledger: Ledger
    ) -> None:
        """And it is not taken back when the job waits again."""
        claim = claimed(ledger, offered(ledger, unique=UNBEGUN))

        second, created = again(ledger, UNBEGUN)
        ledger.conclude(claim, Conclusion(RELEASE))

        assert created
        assert again(ledger, UNBEGUN)[0].id == second.id

    def test_of_many_dispatches_at_once_one_makes_the_job(self, ledger: Ledger) -> None:
        """And all of them get it."""
        with ThreadPoolExecutor(DISPATCHERS) as threads:
            found = list(threads.map(lambda _: again(ledger, FOR_LONG), range(DISPATCHERS)))

        assert len({job.id for job, _ in found}) == 1
        assert sum(created for _, created in found) == 1

    def test_an_idempotency_key_is_found_before_a_unique_one(self, ledger: Ledger) -> None:
        """It means this very job."""
        offered(ledger, unique=INCOMPLETE)
        named = waiting(ledger, idempotency_key="k")

        assert again(ledger, INCOMPLETE, idempotency_key="k")[0].id == named.id

    def test_what_replaces_a_job_is_due_no_later_than_it_says(self, ledger: Ledger) -> None:
        """Counted from the first dispatch, on the database's clock."""
        job = waiting(ledger, LONG, unique=UNBEGUN)

        sooner = ledger.replace(job, new_job(delay=LONG * 2, latest_in=LONG))
        assert sooner is not None
        later = ledger.replace(sooner, new_job(delay=LONG * 2, latest_in=LONG * 9))

        assert later is not None
        assert sooner.run_at == job.created_at + LONG
        assert later.run_at is not None
        assert later.run_at > job.created_at + LONG
        assert later.unique_key == UNBEGUN.key
