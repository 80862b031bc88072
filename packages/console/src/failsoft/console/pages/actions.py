"""What is done to one job; each through the function that the command line calls."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from failsoft.console.access.roles import Permission
from failsoft.console.call import Call
from failsoft.console.payloads.policy import DOTS
from failsoft.console.refusal import RefusedError
from failsoft.dispatcher.handles.resolve import resolve
from failsoft.dispatcher.handles.retry import retry
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.errors import (
    FailsoftError,
    OptionInvalidError,
    PayloadInvalidError,
    ResultInvalidError,
)
from failsoft.job_engine.ports.console import BulkAction
from failsoft.job_engine.records.job import CancelOutcome, JobRecord
from failsoft.job_engine.records.resolution import Resolution, json_text
from failsoft.job_engine.records.states import ABANDON, ACCEPT, RESUME
from failsoft.job_engine.values.codec import describe

#: The longest payload or result that is typed.
MOST_TYPED = 512 * 1024
_CANCELLED = {
    CancelOutcome.CANCELLED: "was cancelled",
    CancelOutcome.REQUESTED: "runs, and stops at its next step",
    CancelOutcome.ENDED: "had ended before",
}


def cancel(call: Call) -> Response:
    """`POST /jobs/{id}/cancel`."""
    job = _job(call)
    outcome = act_on(call, BulkAction.CANCEL, job)
    return _done(call, job, f"Job {job.id[:12]} {_CANCELLED[outcome]}.")


def act_on(call: Call, action: BulkAction, job: JobRecord) -> Any:
    """Do to one job what a bulk may do to many; return what the ledger returns."""
    actor, reason = _said(call)
    entry = call.entry(action, "job", job.id, was=job.state)
    if action is BulkAction.CANCEL:
        return call.act(entry, lambda: call.ledger.cancel(job.id, actor))
    if action is BulkAction.RETRY:
        return call.act(entry, lambda: retry(call.ledger, job.id, reason=reason, actor=actor))
    how = RESUME if action is BulkAction.RESUME else ABANDON
    return call.act(
        entry, lambda: resolve(call.ledger, job.id, Resolution(how, actor, reason), job.epoch)
    )


def retry_job(call: Call) -> Response:
    """`POST /jobs/{id}/retry`."""
    return _again(call, "retry")


def replay(call: Call) -> Response:
    """`POST /jobs/{id}/replay`, from the step that the field `from_step` names."""
    step = call.text("from_step", most=128)
    if not step:
        raise OptionInvalidError("expected a step to replay from, got none")
    return _again(call, "replay", from_step=step)


def edit_retry(call: Call) -> Response:
    """`POST /jobs/{id}/edit-retry`, with another payload in the field `payload`."""
    # What is replaced is seen, so this needs more than to act.
    if not call.may(Permission.ACT):
        raise RefusedError(403, f"expected the permission {Permission.ACT}, got {call.actor.role}")
    job = _job(call)
    definition = _known(call, job)
    payload = _payload(definition, call.text("payload", most=MOST_TYPED))
    return _again(call, "edit-retry", payload=payload, definition=definition)


def resume(call: Call) -> Response:
    """`POST /jobs/{id}/resume`; a field `done.STEP` has what a step in doubt returned."""
    done = {
        name.removeprefix("done."): json_text(values[-1])
        for name, values in call.body.items()
        if name.startswith("done.") and values[-1].strip()
    }
    return _resolved(call, "resume", lambda job: Resolution(RESUME, *_said(call), done=done))


def accept(call: Call) -> Response:
    """`POST /jobs/{id}/accept`, with its result in the field `result`."""
    text = call.text("result", most=MOST_TYPED)

    def accepted(job: JobRecord) -> Resolution:
        return Resolution(ACCEPT, *_said(call), _result(call, job, text))

    return _resolved(call, "accept", accepted)


def abandon(call: Call) -> Response:
    """`POST /jobs/{id}/abandon`."""
    return _resolved(call, "abandon", lambda job: Resolution(ABANDON, *_said(call)))


def _again(call: Call, action: str, **options: Any) -> Response:
    job = _job(call)
    detail = {name: value for name, value in options.items() if name == "from_step"}
    entry = call.entry(action, "job", job.id, was=job.state, **detail)
    actor, reason = _said(call)
    new = call.act(entry, lambda: retry(call.ledger, job.id, reason=reason, actor=actor, **options))
    return call.done(f"Its work is done again by job {new.id}.", call.url("job", id=new.id))


def _resolved(call: Call, action: str, decide: Callable[[JobRecord], Resolution]) -> Response:
    job = _job(call)
    epoch = call.text("epoch", most=20)
    if not epoch.isascii() or (epoch and not epoch.isdigit()):
        raise OptionInvalidError(f"expected the epoch that was shown, got {epoch[:20]!r}")
    entry = call.entry(action, "job", job.id, was=job.state)
    resolution = decide(job)
    now = call.act(
        entry,
        lambda: resolve(call.ledger, job.id, resolution, int(epoch) if epoch else None),
    )
    return _done(call, job, f"Job {job.id[:12]} is {now.state}.")


def _job(call: Call) -> JobRecord:
    return call.ledger.get(call.path["id"])


def _done(call: Call, job: JobRecord, message: str) -> Response:
    return call.done(message, call.url("job", id=job.id))


def _said(call: Call) -> tuple[str, str]:
    return call.named, call.text("reason")


def _known(call: Call, job: JobRecord) -> AnyDefinition:
    if not job.state.is_terminal:
        raise OptionInvalidError(f"expected a job that has ended, got one that is {job.state}")
    catalogue = call.site.environment.catalogue()
    if job.name not in catalogue:
        raise OptionInvalidError(
            f"expected a definition that this console can import, got {job.name!r}, which no "
            "module of FAILSOFT_JOBS has here"
        )
    return catalogue.get(job.name)


def _payload(definition: AnyDefinition, text: str) -> BaseModel:
    if DOTS in text:
        raise PayloadInvalidError(
            f"expected a whole payload, got {DOTS} in it, which stands for what is not shown"
        )
    try:
        payload: BaseModel = definition.payload_type.model_validate_json(text)
    except ValidationError as error:
        raise PayloadInvalidError(
            f"expected JSON that fits {definition.payload_type.__name__}, got: {describe(error)}"
        ) from None
    return payload


def _result(call: Call, job: JobRecord, text: str) -> str:
    try:
        given = json_text(text)
        catalogue = call.site.environment.catalogue()
        if job.name not in catalogue:
            return given
        result = catalogue.get(job.name).result
        return str(result.encode(result.decode(given)))
    except FailsoftError:
        raise
    except ValueError as error:
        raise ResultInvalidError(f"expected a result as JSON, got: {error}") from None
