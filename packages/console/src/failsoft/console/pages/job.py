"""One job: its life, why it is where it is, what it works on, and what may be done to it."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel
from starlette.responses import Response

from failsoft.console.call import Call
from failsoft.console.payloads.policy import PayloadPolicy
from failsoft.console.views.lanes import lanes_of
from failsoft.console.views.plain import plain
from failsoft.console.views.why import Circumstances, carried_on, why_here
from failsoft.job_engine.ports.console import Story
from failsoft.job_engine.records.job import JobRecord, StepKind
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.states import JobState

_HTTP = re.compile(r"https?://[^\s\"'<>]+")
#: Of a longer life so many rows of each table are on the page; `raw.json` has them all.
MOST_ROWS = 300


def job(call: Call) -> Response:
    """`GET /jobs/{id}`."""
    job_id = call.path["id"]
    story = call.panel(("story", job_id), lambda ledger: ledger.story(job_id))
    if story.value is None:
        return call.page("job_away.html", title="Job", job_id=job_id)
    found = story.value
    circumstances = call.panels.read(("now", job_id), lambda: circumstances_of(call, found.job))
    shown = Shown(call, found)
    return call.page(
        "job.html",
        title=f"{found.job.name} {job_id[:12]}",
        story=found,
        job=found.job,
        panel=story,
        lanes=lanes_of(found),
        carried=carried_on(found),
        why=why_here(found, circumstances.value or Circumstances()),
        limits=(circumstances.value or Circumstances()).limits,
        payload=shown.payload(),
        result=shown.result(),
        steps=[(step, shown.step(step.result)) for step in found.steps[-MOST_ROWS:]],
        events=found.events[-MOST_ROWS:],
        doubts=[step.name for step in found.steps if step.kind is StepKind.INTENT],
        errors=[each for each in found.attempts if each.error is not None][-20:],
        actions=actions_on(found.job),
        can_edit=call.may("payload") and found.job.state.is_terminal,
        is_known=found.job.name in call.site.environment.catalogue(),
        links=links_of(call, found.job),
        copies=copies_of(found.job),
    )


def raw(call: Call) -> Response:
    """`GET /jobs/{id}/raw.json`."""
    return call.json(document_of(call, call.ledger.story(call.path["id"])))


def document_of(call: Call, story: Story) -> Mapping[str, Any]:
    """Return a job's story as JSON values, with what is secret masked."""
    shown = Shown(call, story)
    document = plain(story)
    for name in ("revision", "payload_sha", "follow_ups"):
        del document["job"][name]
    document["job"] |= {"payload": plain(shown.payload()), "result": plain(shown.result())}
    for step, given in zip(document["steps"], story.steps, strict=True):
        step["result"] = plain(shown.step(given.result))
    for event in document["events"]:
        event["detail"].pop("claim", None)
    return dict(document)


class Shown:
    """What is shown of the values of one job."""

    def __init__(self, call: Call, story: Story) -> None:
        self._policy: PayloadPolicy = call.site.policy
        self._job = story.job
        catalogue = call.site.environment.catalogue()
        self._known = catalogue.get(story.job.name) if story.job.name in catalogue else None

    def payload(self) -> Any:
        """Return the payload."""
        model = None if self._known is None else self._known.payload_type
        return self._policy.shown(self._job.name, "payload", self._job.payload, model)

    def result(self) -> Any:
        """Return the result."""
        kind = None if self._known is None else self._known.result_type
        model = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
        return self._policy.shown(self._job.name, "result", self._job.result, model)

    def step(self, result: str) -> Any:
        """Return the result of a step."""
        return self._policy.shown(self._job.name, "step", result)


def circumstances_of(call: Call, job: JobRecord) -> Circumstances:
    """Return what holds for a job now."""
    if job.state.is_terminal:
        return Circumstances()
    ledger = call.ledger
    engine = job.engine if job.state is JobState.OFFERED else None
    pauses: Sequence[Pause] = ledger.pauses()
    pause = next((each for each in pauses if each.holds_back(job.name, job.queue, engine)), None)
    served = {(each.engine, each.queue) for each in ledger.live_workers()}
    limits = ledger.limit_uses(job.limits)
    return Circumstances(pause, limits, (job.engine, job.queue) in served)


def actions_on(job: JobRecord) -> Sequence[str]:
    """Return what can be done to a job in its state."""
    if job.is_pruned:
        return ()
    if job.state is JobState.HELD:
        return ("resume", "accept", "abandon", "cancel")
    if job.state is JobState.FAILED:
        return ("retry", "replay", "edit-retry")
    return ("replay", "edit-retry") if job.state.is_terminal else ("cancel",)


def links_of(call: Call, job: JobRecord) -> Mapping[str, str]:
    """Return the addresses elsewhere of what belongs to a job; only of web pages."""
    template = call.site.settings.log_url
    address = template.replace("{job_id}", quote(job.id, safe=""))
    return {"log": address} if _HTTP.fullmatch(address) else {}


def copies_of(job: JobRecord) -> Mapping[str, str]:
    """Return what can be pasted elsewhere to see the same job."""
    return {
        "command line": f"failsoft jobs show {job.id}",
        "Python": f"default_dispatcher().handle({job.name}, {json.dumps(job.id)}).job()",
    }
