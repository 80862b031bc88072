"""Schedules, and the definitions that this console can import."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from failsoft.console.call import Call
from failsoft.console.views.performance import performance_of
from failsoft.dispatcher.schedules import Schedules
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.errors import OptionInvalidError, PayloadInvalidError
from failsoft.job_engine.ports.job_filter import JobFilter
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.values.codec import describe

#: The longest payload that is typed.
MOST_TYPED = 512 * 1024


def schedules(call: Call) -> Response:
    """`GET /schedules`."""
    panel = call.panel("schedules", lambda ledger: ledger.schedules())
    now, found = panel.value or (None, ())
    catalogue = call.site.environment.catalogue()
    return call.page(
        "schedules.html",
        title="Schedules",
        schedules=found,
        now=now,
        known={each.name for each in catalogue},
        panel=panel,
    )


def pause_schedule(call: Call) -> Response:
    """`POST /schedules/{name}/pause`."""
    return _switched(call, "pause", "is paused")


def resume_schedule(call: Call) -> Response:
    """`POST /schedules/{name}/resume`."""
    return _switched(call, "resume", "goes on")


def trigger(call: Call) -> Response:
    """`POST /schedules/{name}/trigger`: dispatch its job now."""
    definition = _definition(call)
    control = Schedules(call.ledger, call.site.environment.dispatcher().dispatch)
    entry = call.entry("trigger", "schedule", definition.name)
    handle = control.trigger(definition)
    call.ledger.audit(entry)
    return call.done(f"Job {handle.id} was dispatched.", call.url("job", id=handle.id))


def definitions(call: Call) -> Response:
    """`GET /definitions`."""
    known = sorted(call.site.environment.catalogue(), key=lambda each: each.name)
    names = call.panel("known", lambda ledger: ledger.known())
    pauses = call.panel("pauses", lambda ledger: ledger.pauses())
    others = set(names.value.names if names.value else ()) - {each.name for each in known}
    return call.page(
        "definitions.html",
        title="Definitions",
        definitions=known,
        others=sorted(others),
        pauses=_of_jobs(pauses.value or ()),
        panel=names,
    )


def definition(call: Call) -> Response:
    """`GET /definitions/{name}`."""
    name = call.path["name"]
    catalogue = call.site.environment.catalogue()
    wanted: JobFilter = {"name": (name,)}
    jobs = call.panel(("definition", name), lambda ledger: ledger.find(wanted, None, 15))
    pauses = call.panel("pauses", lambda ledger: ledger.pauses())
    figures = call.panel("figures", lambda ledger: ledger.figures())
    known = catalogue.get(name) if name in catalogue else None
    if known is None and jobs.value is not None and not jobs.value.items:
        raise OptionInvalidError("expected the name of a definition or of a job's, got another")
    return call.page(
        "definition.html",
        title=f"Definition {name[:40]}",
        name=name,
        definition=known,
        fields=fields_of(known),
        performance=performance_of(name, figures.value) if figures.value else (),
        jobs=jobs.value.items if jobs.value else (),
        pause=_of_jobs(pauses.value or ()).get(name),
        panel=jobs,
    )


def dispatch(call: Call) -> Response:
    """`POST /definitions/{name}/dispatch`, with a payload in the field `payload`."""
    definition = _definition(call)
    text = call.text("payload", most=MOST_TYPED) or "{}"
    try:
        payload: BaseModel = definition.payload_type.model_validate_json(text)
    except ValidationError as error:
        raise PayloadInvalidError(
            f"expected JSON that fits {definition.payload_type.__name__}, got: {describe(error)}"
        ) from None
    entry = call.entry("dispatch", "definition", definition.name)
    key = call.text("key", most=255)
    options: dict[str, Any] = {"idempotency_key": key} if key else {}
    handle = call.site.environment.dispatcher().dispatch(definition, payload, **options)
    call.ledger.audit(entry)
    return call.done(f"Job {handle.id} was dispatched.", call.url("job", id=handle.id))


def fields_of(known: AnyDefinition | None) -> Sequence[tuple[str, str, bool]]:
    """Return the fields of a payload: name, type as text, whether it has to be there."""
    if known is None:
        return ()
    fields = known.payload_type.model_fields
    return [
        (name, getattr(field.annotation, "__name__", str(field.annotation)), field.is_required())
        for name, field in fields.items()
    ]


def _switched(call: Call, action: str, now: str) -> Response:
    name, control = call.path["name"], _control(call)
    control.get(name)
    switch = control.pause if action == "pause" else control.resume
    call.act(call.entry(action, "schedule", name), lambda: switch(name))
    return call.done(f"The schedule {name} {now}.", call.url("schedules"))


def _control(call: Call) -> Schedules:
    def refuse(*_: Any, **__: Any) -> Any:
        raise OptionInvalidError("expected a schedule to pause or resume")

    return Schedules(call.ledger, refuse)


def _definition(call: Call) -> AnyDefinition:
    name, catalogue = call.path["name"], call.site.environment.catalogue()
    if name not in catalogue:
        raise OptionInvalidError(
            f"expected a definition that this console can import, got {name[:80]!r}"
        )
    return catalogue.get(name)


def _of_jobs(pauses: Sequence[Pause]) -> dict[str, Pause]:
    return {each.name: each for each in pauses if each.kind == "job"}
