"""F43: the PostgreSQL of a ledger dies or is demoted, and its replica is promoted, under load."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import pytest
from sqlalchemy import select

from failsoft.job_engine.attempt.interrupts import Fenced
from failsoft.job_engine.errors import JobNotFoundError, LedgerUnavailableError
from failsoft.job_engine.records.groups import GroupRecord
from failsoft.job_engine.records.job import Claim, Conclusion, Ticket
from failsoft.job_engine.records.manual_retry import ManualRetry
from failsoft.job_engine.records.states import SUCCEED, JobState
from failsoft.job_engine.records.waits import SentEvent
from failsoft.ledger import Database, SqlLedger
from failsoft.ledger.schema.tables import sent_events
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing.ledger_suite import fixtures
from failsoft.testing.ledger_suite.flow.chains import members
from tests.deployments.deployment import PATIENCE, Deployment
from tests.deployments.promises import assert_each_ran_once, assert_promises_kept
from tests.faults.dispatch_load import charged, under_load
from tests.faults.postgresql.lost_replies import LEASE, OTHER, STEP, LedgerCalls
from tests.faults.support import through_proxy
from tests.jobs.scripted import Script, in_thread
from tests.servers.postgresql.postgres_pair import PostgresPair
from tests.servers.processes import wait_until
from tests.servers.proxy import TcpProxy

LEDGER = "fail_over"
#: Outlasts a fail-over on a busy machine, so that none has to give up a job.
LONG_LEASE = "60s"
#: How long a call may take that is to end in vain; longer where all must wait before one ends.
SHORT, LONGER = timedelta(seconds=3), timedelta(seconds=6)

#: What writes the same thing whenever it is called, and whether that stands in the ledger.
Write: TypeAlias = tuple[Callable[[SqlLedger], object], Callable[[], bool]]


@pytest.fixture
def ledger_url(postgres_pair: PostgresPair) -> Iterator[str]:
    """A database on both servers of a pair."""
    postgres_pair.synchronous(on=True)
    postgres_pair.primary.create_database(LEDGER)
    yield postgres_pair.url(LEDGER)
    postgres_pair.heal()
    postgres_pair.primary.drop_database(LEDGER)


def the_primary_dies(pair: PostgresPair) -> None:
    pair.kill()
    pair.fail_over()


@pytest.mark.fault("F43")
@pytest.mark.parametrize(
    "happens", [the_primary_dies, pytest.param(PostgresPair.switch_over, marks=pytest.mark.long)]
)
def test_a_promoted_replica_goes_on_with_every_accepted_job(
    deployment: Deployment,
    postgres_pair: PostgresPair,
    gate: Path,
    happens: Callable[[PostgresPair], None],
) -> None:
    deployment.workers("threads", FAILSOFT_LEASE=LONG_LEASE)
    running = deployment.dispatch(
        in_thread, Script(steps=3, halt_at=2, gate=str(gate)), engines=("rq",)
    )
    deployment.wait_for_step(running, "step-2")

    with under_load(deployment):
        happens(postgres_pair)
    gate.touch()
    deployment.wait_for_ends()

    # A fail-over is no failure of a job's: its attempt goes on where it was.
    assert deployment.effect_log.times_begun(running.id) == {"step-1": 1, "step-2": 1, "step-3": 1}
    assert charged(deployment) == {}
    assert_promises_kept(deployment)


@pytest.mark.fault("F43")
def test_sessions_that_stay_open_to_a_demoted_primary_are_given_up(
    deployment_by_address: Deployment, postgres_pair: PostgresPair, address: TcpProxy, gate: Path
) -> None:
    """One address that moves late, as a virtual IP or a DNS name does."""
    deployment = deployment_by_address
    deployment.workers("threads", FAILSOFT_LEASE=LONG_LEASE)
    running = deployment.dispatch(in_thread, Script(steps=3, halt_at=2, gate=str(gate)))
    deployment.wait_for_step(running, "step-2")

    postgres_pair.switch_over()
    with pytest.raises(LedgerUnavailableError):
        deployment.app.dispatcher.dispatch(in_thread, Script(), job_id="read-only")
    gate.touch()
    wait_until(lambda: address.connections > 0, PATIENCE, "sessions of the replica are open")
    # Those stay: only new ones look the address up.
    address.target_port = postgres_pair.port
    wait_until(lambda: accepts(deployment), PATIENCE, "jobs are accepted again")
    deployment.wait_for_ends()

    assert charged(deployment) == {}
    assert_each_ran_once(deployment)


def terminated(pair: PostgresPair) -> None:
    """End the sessions, as an administrator does."""
    pair.primary.terminate_backends(LEDGER)


def stopped(pair: PostgresPair) -> None:
    """Restart the primary in good order; it does not wait for its replica."""
    pair.primary.stop()
    pair.primary.start()


def one_job(ledger: SqlLedger) -> Write:
    job = fixtures.new_job()
    return lambda to: to.record_job(job, fixtures.plan()), is_there(ledger, job.id)


def many_jobs(ledger: SqlLedger) -> Write:
    job, other = fixtures.new_job(), fixtures.new_job()
    both = [(job, fixtures.plan()), (other, None)]
    return lambda to: to.record_jobs(both), is_there(ledger, job.id)


def a_chain(ledger: SqlLedger) -> Write:
    job = fixtures.new_job()
    return lambda to: to.record_chain([job], fixtures.plan()), is_there(ledger, job.id)


def a_group(ledger: SqlLedger) -> Write:
    group = GroupRecord("a-group", "5ad1", "all_ended")
    [job] = members(group.id, 1)
    return lambda to: to.record_group(group, None, [job]), is_there(ledger, job.id)


def a_retried_job(ledger: SqlLedger) -> Write:
    retry = ManualRetry(fixtures.ended(ledger, JobState.FAILED).job_id, "a person")
    return lambda to: to.retry(retry), is_there(ledger, retry.id)


def a_claim(ledger: SqlLedger) -> Write:
    ticket = fixtures.ticket(fixtures.offered(ledger))
    is_running = lambda: ledger.get(ticket.job_id).state is JobState.RUNNING  # noqa: E731
    return lambda to: to.claim(ticket), is_running


def an_end(ledger: SqlLedger) -> Write:
    claim = fixtures.started(ledger)
    has_ended = lambda: ledger.get(claim.job_id).state is JobState.SUCCEEDED  # noqa: E731
    return lambda to: to.conclude(claim, fixtures.ENDINGS[JobState.SUCCEEDED]), has_ended


def a_cancellation(ledger: SqlLedger) -> Write:
    job_id = fixtures.offered(ledger).id
    is_cancelled = lambda: ledger.get(job_id).state is JobState.CANCELLED  # noqa: E731
    return lambda to: to.cancel(job_id, "a person"), is_cancelled


def a_cancel_request(ledger: SqlLedger) -> Write:
    job_id = fixtures.started(ledger).job_id
    return lambda to: to.cancel(job_id, "a person"), lambda: ledger.get(job_id).cancel_requested


def an_event(ledger: SqlLedger) -> Write:
    event = SentEvent("event-1", "ab" * 32, "paid", "{}")
    return lambda to: to.send(event), lambda: has_event(ledger, event.id)


def is_there(ledger: SqlLedger, job_id: str) -> Callable[[], bool]:
    return lambda: ledger.get(job_id).id == job_id


def has_event(ledger: SqlLedger, event_id: str) -> bool:
    kept = select(sent_events.c.id).where(sent_events.c.id == event_id)
    return ledger.database.read(lambda c: c.execute(kept).one_or_none()) is not None


WRITES = [one_job, many_jobs, a_chain, a_group, a_retried_job]
WRITES += [a_claim, an_end, a_cancellation, a_cancel_request, an_event]


@pytest.mark.fault("F43")
@pytest.mark.parametrize("ends", [pytest.param(terminated, marks=pytest.mark.long), stopped])
def test_a_commit_that_gave_up_waiting_for_the_replica_is_no_success(
    postgres_pair: PostgresPair, ledger_url: str, ends: Callable[[PostgresPair], None]
) -> None:
    with (
        closing(Database(ledger_url, limit=LONGER, pool=len(WRITES))) as database,
        closing(Database(ledger_url, limit=SHORT, pool=len(WRITES))) as hurried,
        ThreadPoolExecutor(len(WRITES)) as threads,
    ):
        upgrade(database)
        ledger, impatient = SqlLedger(database), SqlLedger(hurried)
        writes, found = zip(*(write(ledger) for write in WRITES), strict=True)
        postgres_pair.replica.freeze()
        written = [threads.submit(write, ledger) for write in writes]
        waiting = lambda: waits_for_replica(postgres_pair) == len(WRITES)  # noqa: E731
        wait_until(waiting, PATIENCE, "their commits wait")
        ends(postgres_pair)

        assert [in_vain(each) for each in written] == [True] * len(WRITES)
        # They stand on the primary, where everyone sees them, and nowhere else.
        assert all(is_found() for is_found in found)
        for _ in range(2):
            again = [threads.submit(write, impatient) for write in writes]
            assert [in_vain(each) for each in again] == [True] * len(WRITES)

        postgres_pair.replica.thaw()
        for write in writes:
            wait_until(lambda w=write: accepted(w, ledger), PATIENCE, "it is accepted")
        the_primary_dies(postgres_pair)
        assert all(is_found() for is_found in found)


def in_vain(recorded: Future[object]) -> bool:
    return isinstance(recorded.exception(PATIENCE), LedgerUnavailableError)


def waits_for_replica(pair: PostgresPair) -> int:
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    return len(pair.primary.ask_all(waiting))


def accepted(record: Callable[[SqlLedger], object], ledger: SqlLedger) -> bool:
    try:
        record(ledger)
    except LedgerUnavailableError:
        return False
    return True


@pytest.mark.fault("F43", "F34")
def test_a_replica_that_was_behind_loses_what_it_lacks_and_mixes_no_epochs(
    postgres_pair: PostgresPair, ledger_url: str
) -> None:
    with closing(Database(ledger_url)) as database:
        upgrade(database)
        ledger = SqlLedger(database)
        kept, lost = LedgerCalls(ledger, "kept"), LedgerCalls(ledger, "lost")
        kept.record()
        postgres_pair.primary.wait_for(postgres_pair.replica)
        postgres_pair.synchronous(on=False)
        postgres_pair.replica.stop()
        lost.record()
        before = claim_second_epoch(kept, "a worker")

        postgres_pair.kill()
        postgres_pair.replica.start()
        postgres_pair.fail_over()

        after = claim_second_epoch(kept, "another")
        assert before.epoch == after.epoch == 2
        with pytest.raises(JobNotFoundError):
            lost.seen()
        for write in (
            lambda: ledger.begin(before, "step", 0),
            lambda: ledger.record(before, STEP),
            lambda: ledger.conclude(before, Conclusion(SUCCEED, result='"stale"')),
        ):
            with pytest.raises(Fenced):
                write()
        assert ledger.renew([before]) == []
        ledger.record(after, STEP)
        assert ledger.conclude(after, Conclusion(SUCCEED, result='"true"')) is JobState.SUCCEEDED


@pytest.fixture
def address(postgres_pair: PostgresPair, proxy_to: Callable[[int], TcpProxy]) -> TcpProxy:
    return proxy_to(postgres_pair.port)


@pytest.fixture
def deployment_by_address(
    environment: pytest.MonkeyPatch,
    postgres_pair: PostgresPair,
    address: TcpProxy,
    request: pytest.FixtureRequest,
) -> Deployment:
    url = through_proxy(postgres_pair.primary.url(LEDGER), postgres_pair.port, address)
    environment.setenv("FAILSOFT_LEDGER_URL", url)
    deployment: Deployment = request.getfixturevalue("deployment")
    return deployment


def accepts(deployment: Deployment) -> bool:
    try:
        deployment.dispatch(in_thread)
    except LedgerUnavailableError:
        return False
    return True


def claim_second_epoch(calls: LedgerCalls, worker: str) -> Claim:
    assert calls.ledger.offer(calls.seen(), OTHER) is not None
    claim = calls.ledger.claim(
        Ticket(calls.job_id, 2, "dramatiq", "default", worker, worker, LEASE)
    )
    assert claim is not None
    return claim
