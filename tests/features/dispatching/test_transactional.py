"""A job dispatched in the caller's own transaction is there if, and only if, that commits."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.orm import Session

from failsoft.job_engine.errors import OptionInvalidError
from tests.deployments.shared import PATIENCE, EngineDeployment
from tests.features.jobs.dispatching.dispatch_options import Note, echo
from tests.servers.processes import wait_until


@contextmanager
def opened(deployment: EngineDeployment, kind: str) -> Iterator[Session | Connection]:
    """Open a session of the application's own on the ledger's database."""
    engine = create_engine(deployment.database.url)
    try:
        with (Session if kind == "session" else Connection)(engine) as session:
            yield session
    finally:
        engine.dispose()


@pytest.mark.parametrize("kind", ["session", "connection"])
def test_it_runs_after_the_commit_and_not_before(deployment: EngineDeployment, kind: str) -> None:
    with opened(deployment, kind) as session:
        handle = deployment.dispatch(echo, Note(text="committed"), session=session)
        assert handle.pending
        session.commit()

    assert handle.result() == "committed"
    assert not handle.pending
    job = handle.job()
    assert (job.engine, job.epoch) == (deployment.engine, 1)


@pytest.mark.parametrize("kind", ["session", "connection"])
def test_a_rollback_leaves_nothing(deployment: EngineDeployment, kind: str) -> None:
    with opened(deployment, kind) as session:
        handle = deployment.dispatch(echo, Note(), session=session)
        session.rollback()
        session.execute(text("SELECT 1"))
        session.commit()

    assert handle.pending
    assert not deployment.ledger.events(handle.id)


def test_neither_does_that_of_a_savepoint(deployment: EngineDeployment) -> None:
    with opened(deployment, "session") as session:
        assert isinstance(session, Session)
        kept = deployment.dispatch(echo, Note(text="kept"), session=session)
        savepoint = session.begin_nested()
        undone = deployment.dispatch(echo, Note(text="undone"), session=session)
        savepoint.rollback()
        with session.begin_nested():
            nested = deployment.dispatch(echo, Note(text="nested"), session=session)
        session.commit()

    assert undone.pending
    assert [kept.result(), nested.result()] == ["kept", "nested"]


def test_what_a_crash_after_the_commit_leaves_is_swept_up(deployment: EngineDeployment) -> None:
    with opened(deployment, "session") as session:
        handle = deployment.dispatch(echo, Note(text="swept"), session=session)
        session.dispatch.after_transaction_end.clear()  # type: ignore[attr-defined]  # as if dead
        session.commit()

    wait_until(lambda: handle.status().is_terminal, PATIENCE, "the rescuer offers it")
    assert handle.result() == "swept"
    assert handle.job().epoch > 1


def test_a_key_is_held_in_the_transaction(deployment: EngineDeployment) -> None:
    key = deployment.unique("within")
    with opened(deployment, "session") as session:
        first = deployment.dispatch(echo, Note(text="once"), session=session, idempotency_key=key)
        again = deployment.dispatch(echo, Note(text="once"), session=session, idempotency_key=key)
        session.commit()

    assert (again.id, again.disposition) == (first.id, "existing")
    assert first.result() == "once"


def test_another_database_is_refused_before_anything_is_stored(
    deployment: EngineDeployment,
) -> None:
    engine = create_engine("sqlite://")
    with (
        engine.connect() as elsewhere,
        pytest.raises(OptionInvalidError, match="expected a session on"),
    ):
        deployment.dispatch(echo, Note(), session=elsewhere)
    engine.dispose()
