# ruff: noqa: S101 - a conformance suite asserts
"""What a ledger promises of unique keys when ended work is done again (I10, rule 19)."""

from functools import partial

from failsoft.job_engine.errors import OptionInvalidError, UniqueKeyHeldError
from failsoft.job_engine.invariants import repeated_keys
from failsoft.job_engine.policies.uniqueness import UniqueKey, UniqueScope
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.manual_retry import ManualRetry
from failsoft.job_engine.records.states import JobState
from failsoft.testing.ledger_suite.fixtures import (
    CONCLUSIONS,
    ENDINGS,
    FAILURE,
    LONG,
    SUCCESS,
    claimed,
    new_job,
    offered,
    plan,
    raises,
    reoffered,
    step,
)
from failsoft.testing.ledger_suite.races import CROWD, ROUNDS, at_once, both

ONE = UniqueKey("one-key", UniqueScope.INCOMPLETE)
OTHER = UniqueKey("other-key", UniqueScope.INCOMPLETE)
UNBEGUN = UniqueKey("unbegun-key", UniqueScope.UNBEGUN)
FOR_LONG = UniqueKey("long-key", UniqueScope.PERIOD, LONG)


class RetriedKeyPromises:
    """`retry`: while it is incomplete, the new job holds the old one's key as that one did."""

    def test_a_retry_holds_the_key_until_it_has_ended(self, ledger: Ledger) -> None:
        """As any job does: a dispatch of the same work meanwhile returns it."""
        job, _ = ledger.retry(ManualRetry(dead(ledger), "ada"))

        assert (job.unique_key, job.unique_scope) == (ONE.key, ONE.scope)
        assert dispatched(ledger) == (ledger.get(job.id), False)
        claim = claimed(ledger, reoffered(ledger, job.id))
        assert dispatched(ledger) == (ledger.get(job.id), False)
        ledger.conclude(claim, CONCLUSIONS[1])
        assert dispatched(ledger) == (ledger.get(job.id), False)
        ledger.conclude(claimed(ledger, reoffered(ledger, job.id)), SUCCESS)
        assert dispatched(ledger)[1]

    def test_whatever_does_ended_work_again_holds_the_key(self, ledger: Ledger) -> None:
        """A replay from a step of what ended in any way, and the retry of a retry."""
        for state in ENDINGS:
            ended = dead(ledger, state)
            replay, _ = ledger.retry(ManualRetry(ended, "ada", from_step="fetch"))
            assert dispatched(ledger)[0].id == replay.id

            ledger.conclude(claimed(ledger, reoffered(ledger, replay.id)), FAILURE)
            again, _ = ledger.retry(ManualRetry(replay.id, "ada"))
            assert dispatched(ledger)[0].id == again.id
            ledger.cancel(again.id, "a test")

    def test_another_payload_has_a_key_of_its_own(self, ledger: Ledger) -> None:
        """Or none: the old one is free for a dispatch of the old work."""
        ended = dead(ledger)

        other, _ = ledger.retry(ManualRetry(ended, "ada", payload="{}", version=1, unique=OTHER))
        none, _ = ledger.retry(ManualRetry(ended, "ada", payload="[]", version=1))

        assert (other.unique_key, none.unique_key) == (OTHER.key, None)
        assert dispatched(ledger, OTHER)[0].id == other.id
        assert dispatched(ledger)[1]

    def test_what_the_key_of_another_payload_is_must_be_known(self, ledger: Ledger) -> None:
        """Under the old key it would be taken for the old work."""
        edited = ManualRetry(dead(ledger), "ada", payload="{}")

        assert raises(OptionInvalidError, lambda: ledger.retry(edited))
        assert list(ledger.again(edited.retry_of)) == []

    def test_a_retry_is_refused_while_another_job_holds_the_key(self, ledger: Ledger) -> None:
        """It names that job, and nothing is stored."""
        ended = dead(ledger)
        ledger.conclude(claimed(ledger, offered(ledger)), SUCCESS)
        holder = offered(ledger, unique=ONE)
        counts = ledger.counts()

        for retry in (ManualRetry(ended, "ada"), ManualRetry(ended, "ada", from_step="fetch")):
            error = refusal(ledger, retry)
            assert (error.job_id, error.holder_id) == (ended, holder.id)
            assert f"job {holder.id} holds, which is offered" in str(error)
        assert (ledger.counts(), list(ledger.again(ended))) == (counts, [])
        ledger.cancel(holder.id, "a test")
        assert ledger.retry(ManualRetry(ended, "ada"))[1]

    def test_of_one_dead_letter_one_retry_is_under_way_at_a_time(self, ledger: Ledger) -> None:
        """A replay is refused while a retry holds the key, and edited work is not."""
        ended = dead(ledger)
        first, _ = ledger.retry(ManualRetry(ended, "ada"))

        error = refusal(ledger, ManualRetry(ended, "bob", from_step="fetch"))

        assert error.holder_id == first.id
        edited = ManualRetry(ended, "bob", payload="{}", version=1, unique=OTHER)
        assert ledger.retry(edited)[1]

    def test_a_repeated_retry_is_answered_even_while_another_job_holds_the_key(
        self, ledger: Ledger
    ) -> None:
        """It may have ended since: a repeated call makes no job that needs the key (F22)."""
        ended = dead(ledger)
        first, _ = ledger.retry(ManualRetry(ended, "ada"))
        assert ledger.retry(ManualRetry(ended, "bob")) == (first, False)
        ledger.cancel(first.id, "a test")
        offered(ledger, unique=ONE)

        assert ledger.retry(ManualRetry(ended, "bob")) == (ledger.get(first.id), False)

    def test_keys_that_limit_dispatches_are_not_taken(self, ledger: Ledger) -> None:
        """A replay is not throttled, and the next dispatch finds what it found before."""
        for key in (FOR_LONG, UNBEGUN):
            ended = dead(ledger, key=key)
            holder, created = dispatched(ledger, key)
            assert (holder.id == ended, created) == (key is FOR_LONG, key is UNBEGUN)

            job, is_new = ledger.retry(ManualRetry(ended, "ada"))
            replay, _ = ledger.retry(ManualRetry(ended, "ada", from_step="fetch"))

            assert is_new
            assert (job.unique_key, replay.unique_scope, job.unique_until) == (None, None, None)
            assert dispatched(ledger, key) == (holder, False)

    def test_a_dispatch_and_a_retry_leave_one_holder(self, ledger: Ledger) -> None:
        """Whichever is first: the other one is led to it, or refused because of it."""
        race_for_a_key(ledger, ledger)

    def test_a_crowd_does_one_work_again_and_one_holds_the_key(self, ledger: Ledger) -> None:
        """Equal retries return the same job; a different one is refused."""
        for _ in range(ROUNDS):
            ended = dead(ledger)
            retries = [ManualRetry(ended, "ada"), ManualRetry(ended, "bob", from_step="fetch")]

            found = at_once([partial(retried, ledger, each) for each in retries * (CROWD // 2)])

            made = {each.id for each in found if isinstance(each, JobRecord)}
            refused = {each.holder_id for each in found if isinstance(each, UniqueKeyHeldError)}
            assert len(made) == 1
            assert refused == made
            _expect_one_holder(ledger, made.pop())


def race_for_a_key(ledger: Ledger, other: Ledger) -> None:
    """Let one ledger dispatch and another, of the same database, retry at the same moment."""
    for _ in range(ROUNDS):
        ended = dead(ledger)

        (job, created), answer = both(
            partial(dispatched, ledger), partial(retried, other, ManualRetry(ended, "ada"))
        )

        if isinstance(answer, UniqueKeyHeldError):
            assert (created, answer.holder_id) == (True, job.id)
        else:
            assert (created, answer.id) == (False, job.id)
        _expect_one_holder(ledger, job.id)


def _expect_one_holder(ledger: Ledger, job_id: str) -> None:
    assert list(repeated_keys(ledger.list_jobs(limit=100))) == []
    assert dispatched(ledger) == (ledger.get(job_id), False)
    ledger.cancel(job_id, "a test")


def dead(ledger: Ledger, state: JobState = JobState.FAILED, key: UniqueKey = ONE) -> str:
    """Bring a job with a unique key to its end, after a step."""
    claim = claimed(ledger, offered(ledger, unique=key))
    ledger.record(claim, step())
    if state is JobState.CANCELLED:
        ledger.cancel(claim.job_id, "ada")
    assert ledger.conclude(claim, ENDINGS[state]) is state
    return claim.job_id


def dispatched(ledger: Ledger, key: UniqueKey = ONE) -> tuple[JobRecord, bool]:
    """Dispatch another job with a unique key."""
    return ledger.record_job(new_job(unique=key), plan())


def refusal(ledger: Ledger, retry: ManualRetry) -> UniqueKeyHeldError:
    """Return the error of a retry for which the key is not free."""
    error = retried(ledger, retry)
    assert isinstance(error, UniqueKeyHeldError), f"expected a refusal, got {error}"
    return error


def retried(ledger: Ledger, retry: ManualRetry) -> JobRecord | UniqueKeyHeldError:
    """Do ended work again, or return why not."""
    try:
        return ledger.retry(retry)[0]
    except UniqueKeyHeldError as error:
        return error
