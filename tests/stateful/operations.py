"""Everything that a ledger writes, and the scene in which it does."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from failsoft.job_engine.errors import JobDeferredError, UniqueKeyHeldError
from failsoft.job_engine.policies.limits import Limit, Limits
from failsoft.job_engine.policies.uniqueness import UniqueKey, UniqueScope, hashed
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.job import (
    Conclusion,
    DispatchTry,
    JobRecord,
    TryOutcome,
    WorkerRecord,
)
from failsoft.job_engine.records.manual_retry import ManualRetry
from failsoft.job_engine.records.new_job import OfferPlan
from failsoft.job_engine.records.resolution import Resolution
from failsoft.job_engine.records.states import ABANDON, ACCEPT, RESUME, STOP
from failsoft.testing.ledger_suite.fixtures import ERROR, FIRST, SECOND, new_job
from tests.stateful.actions import PICKUP, LedgerActions
from tests.stateful.attempt import ENDINGS, Attempt
from tests.stateful.machine import resolution

Question = Callable[[Ledger], Any]
#: Prepares the ledger, and returns the call.
Operation = Callable[[LedgerActions], Question]

MINUTE = timedelta(minutes=1)
PLAN = OfferPlan(SECOND, PICKUP, "a test")
UNIQUE = UniqueKey(hashed("one"), UniqueScope.INCOMPLETE)
WORKER = WorkerRecord("boot", FIRST, "default", "host", 1, 8)


def _offered(actions: LedgerActions) -> JobRecord:
    return _given(actions.dispatch(FIRST))


def _waiting(actions: LedgerActions) -> JobRecord:
    return _given(actions.dispatch(None, delay=MINUTE))


def _running(actions: LedgerActions) -> JobRecord:
    return actions.look(_attempt(actions).claim.job_id)


def _attempt(actions: LedgerActions) -> Attempt:
    attempt = actions.start(FIRST)
    assert attempt is not None
    actions.begin(attempt)
    return attempt


def _given(job: JobRecord | None) -> JobRecord:
    assert job is not None
    return job


def _dispatch(actions: LedgerActions, key: str | None = None) -> Question:
    job = new_job(id="a-job", idempotency_key=key)
    return lambda ledger: ledger.record_job(job, PLAN)[0]


def _dispatch_for_later(actions: LedgerActions) -> Question:
    job = new_job(id="a-job", delay=MINUTE)
    return lambda ledger: ledger.record_job(job, None)[0]


def _dispatch_again(actions: LedgerActions) -> Question:
    actions.dispatch(FIRST, key="a")
    return _dispatch(actions, "a")


def _claim(actions: LedgerActions) -> Question:
    ticket = actions.issue(_offered(actions), FIRST)
    return lambda ledger: ledger.claim(ticket)


def _begin(actions: LedgerActions) -> Question:
    attempt = _attempt(actions)
    return lambda ledger: ledger.begin(attempt.claim, "step-0", 0)


def _record(actions: LedgerActions) -> Question:
    attempt = _attempt(actions)
    return lambda ledger: ledger.record(attempt.claim, attempt.step)


def _renew(actions: LedgerActions) -> Question:
    claims = [_attempt(actions).claim, _attempt(actions).claim]
    return lambda ledger: sorted(claim.job_id for claim in ledger.renew(claims))


def _conclude(actions: LedgerActions, name: str) -> Question:
    attempt = _attempt(actions)
    conclusion = attempt.conclusion(name, MINUTE)
    return lambda ledger: ledger.conclude(attempt.claim, conclusion)


def _stop(actions: LedgerActions) -> Question:
    attempt = _attempt(actions)
    actions.cancel(attempt.claim.job_id, None)
    return lambda ledger: ledger.conclude(attempt.claim, Conclusion(STOP))


def _offer(actions: LedgerActions, scene: Callable[[LedgerActions], JobRecord]) -> Question:
    job = scene(actions)
    return lambda ledger: ledger.offer(job, PLAN)


def _move(actions: LedgerActions) -> Question:
    jobs = [_offered(actions) for _ in range(3)]
    assert actions.claim(actions.issue(jobs[1], FIRST)) is not None
    return lambda ledger: sorted(job.id for job in ledger.offer_many(jobs, PLAN))


def _park(actions: LedgerActions) -> Question:
    job = _offered(actions)
    return lambda ledger: ledger.park(job, MINUTE, "nobody took it")


def _defer(actions: LedgerActions) -> Question:
    limits = Limits(Limit(hashed("one"), 1))
    assert actions.start(FIRST, limits) is not None
    ticket = actions.issue(_given(actions.dispatch(FIRST, limits=limits)), FIRST)

    def claim(ledger: Ledger) -> str | None:
        try:
            return str(ledger.claim(ticket))
        except JobDeferredError as error:
            return str(error)

    return claim


def _expire(actions: LedgerActions) -> Question:
    job = _given(actions.dispatch(FIRST, expires_in=MINUTE))
    actions.pair.pass_time(2 * MINUTE)
    return lambda ledger: ledger.expire(job)


def _replace(actions: LedgerActions, scene: Callable[[LedgerActions], JobRecord]) -> Question:
    job = scene(actions)
    new = new_job(id=job.id, payload='{"user_id": 8}', delay=MINUTE)
    return lambda ledger: ledger.replace(job, new)


def _exhaust(actions: LedgerActions) -> Question:
    job = _running(actions)
    return lambda ledger: ledger.exhaust(job, ERROR)


def _resolve(actions: LedgerActions, resolution: Resolution) -> Question:
    attempt = _attempt(actions)
    actions.record(attempt)
    actions.hold(attempt, None)
    job = actions.look(attempt.claim.job_id)
    return lambda ledger: ledger.resolve(job, resolution)


def _retry(actions: LedgerActions, *, is_free: bool) -> Question:
    attempt = actions.start(FIRST, unique=UNIQUE)
    assert attempt is not None
    actions.begin(attempt)
    actions.record(attempt)
    actions.conclude(attempt, attempt.conclusion("fail", MINUTE), None)
    if not is_free:
        actions.dispatch(FIRST, unique=UNIQUE)
    retrial = ManualRetry(attempt.claim.job_id, "a person")

    def retry(ledger: Ledger) -> JobRecord | str:
        try:
            return ledger.retry(retrial)[0]
        except UniqueKeyHeldError as error:
            return str(error)

    return retry


def _cancel(actions: LedgerActions, scene: Callable[[LedgerActions], JobRecord]) -> Question:
    job = scene(actions)
    return lambda ledger: ledger.cancel(job.id, "a client")


def _note_tries(actions: LedgerActions) -> Question:
    job = _offered(actions)
    tried = DispatchTry(FIRST, 1, "offer", TryOutcome.ACCEPTED)
    return lambda ledger: ledger.note_tries([(job.id, tried)])


def _beat(actions: LedgerActions) -> Question:
    return lambda ledger: ledger.beat(WORKER, MINUTE)


def _retire(actions: LedgerActions) -> Question:
    actions.pair.ask("beat", lambda ledger: ledger.beat(WORKER, MINUTE))
    return lambda ledger: ledger.retire(WORKER.boot_id)


#: What says the same when it is repeated after a lost reply.
REPEATABLE: Mapping[str, Operation] = {
    "dispatch": _dispatch,
    "dispatch for later": _dispatch_for_later,
    "dispatch with a new key": partial(_dispatch, key="a"),
    "dispatch with a used key": _dispatch_again,
    "claim": _claim,
    "begin": _begin,
    "record": _record,
    "renew": _renew,
    "stop": _stop,
    **{name: partial(_conclude, name=name) for name in ENDINGS},
    "do again": partial(_retry, is_free=True),
    "do again while the key is held": partial(_retry, is_free=False),
    "note tries": _note_tries,
    "beat": _beat,
    "retire": _retire,
}

#: What a repetition finds done, and says so: the job is no longer as it was seen.
COMPARE_AND_SET: Mapping[str, Operation] = {
    "offer": partial(_offer, scene=_waiting),
    "reoffer": partial(_offer, scene=_offered),
    "recover": partial(_offer, scene=_running),
    "move": _move,
    "park": _park,
    "defer": _defer,
    "exhaust": _exhaust,
    "resume": partial(_resolve, resolution=resolution(RESUME, {"step-1": '"told"'})),
    "resume and begin again": partial(_resolve, resolution=resolution(RESUME, {})),
    "accept": partial(_resolve, resolution=resolution(ACCEPT, {})),
    "abandon": partial(_resolve, resolution=resolution(ABANDON, {})),
    "expire": _expire,
    "replace": partial(_replace, scene=_offered),
    "replace what waits": partial(_replace, scene=_waiting),
    "cancel what is offered": partial(_cancel, scene=_offered),
    "cancel what waits": partial(_cancel, scene=_waiting),
    "cancel what runs": partial(_cancel, scene=_running),
}
