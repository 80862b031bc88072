"""`on_failure`: what a definition may declare, and what a dispatch keeps of it."""

from typing import Any

import pytest

from failsoft.job_engine import JobContext, JobFailure, declare_job, job
from failsoft.job_engine.errors import DefinitionError
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.follow_ups import follow_ups_from
from failsoft.job_engine.records.job import Conclusion
from failsoft.job_engine.records.states import FAIL
from tests.unit.support.attempts import Mail, define
from tests.unit.support.memory_app import MemoryApp

ALARM = declare_job("alarm", payload=JobFailure, queue="data-sync", priority=9, version=2)
ERROR = ErrorRecord("ValueError", "no such user")


def nothing(ctx: JobContext) -> None:
    return None


def test_the_hook_is_kept_with_the_job() -> None:
    app = MemoryApp()

    handle = app.dispatcher.dispatch(define(nothing, on_failure=ALARM), Mail())

    hook = follow_ups_from(handle.job().follow_ups or "").on_failure
    assert hook is not None
    assert (hook.name, hook.queue, hook.priority, hook.version) == ("alarm", "data-sync", 9, 2)


def test_a_job_without_a_hook_keeps_nothing() -> None:
    assert MemoryApp().dispatch().job().follow_ups is None


def test_a_failure_dispatches_the_hook_with_what_happened() -> None:
    app = MemoryApp()
    failing = define(nothing, on_failure=ALARM)
    claim = app.claim(app.dispatcher.dispatch(failing, Mail(user_id=8)).job())
    assert claim is not None

    app.ledger.conclude(claim, Conclusion(FAIL, error=ERROR))

    (alarm,) = app.ledger.list_jobs(name="alarm")
    assert alarm.version == ALARM.version
    assert JobFailure.model_validate_json(alarm.payload) == JobFailure(
        job_id=claim.job_id,
        name="welcome",
        queue="default",
        payload={"user_id": 8},
        error_type="ValueError",
        error_message="no such user",
        attempts=1,
    )


def test_a_hook_takes_a_failure() -> None:
    with pytest.raises(DefinitionError, match="for JobFailure, got one for Mail"):
        define(nothing, on_failure=define(nothing, name="other"))


def test_hooks_come_to_an_end() -> None:
    def hook(name: str, **options: Any) -> Any:
        return declare_job(name, payload=JobFailure, **options)

    fine = hook("a", on_failure=hook("b", on_failure=hook("c")))
    assert fine.on_failure is not None

    with pytest.raises(DefinitionError, match="a -> b -> a"):
        hook("a", on_failure=hook("b", on_failure=hook("a")))
    with pytest.raises(DefinitionError, match="welcome -> welcome"):
        define(nothing, on_failure=hook("welcome"))


def test_the_short_form_takes_a_hook() -> None:
    @job(on_failure=ALARM)
    def charge(payload: Mail, ctx: JobContext) -> None:
        return None

    assert charge.on_failure is ALARM
