"""The sentence of each event in a log, independent of the logging of the process."""

from collections.abc import Mapping

from failsoft.job_engine.telemetry import Event
from failsoft.job_engine.values.redaction import redacted
from failsoft.worker.logs.visible import visible

#: The sentence of each kind of event. `{job}` is a job's id and name, `{because}` a colon and the
#: reason, `{error}` a colon and an exception's message; both are empty where there is none.
SENTENCES: Mapping[str, str] = {
    "job.dispatch": "{job} is recorded, for {engine}",
    "job.replace": "{job} took over what a later dispatch of its key brought",
    "job.offer": "{job} is due, and offered to {engine}",
    "job.offered": "{job} goes from {from} to {engine}{because}",
    "job.reoffer": "{job} goes from {from} to {engine}{because}",
    "job.park": "{job} waits in the ledger until an engine takes it{because}",
    "job.claim": "{job} is claimed by worker {worker} of {engine}, attempt {attempt}",
    "job.defer": "{job} waits for its turn{because}",
    "job.recover": "{job} was cut off on {from} and goes on with {engine}{because}",
    "job.exhaust": "{job} has failed{because}",
    "job.succeed": "{job} has succeeded, attempt {attempt}{took}",
    "job.retry": "{job} is tried again after attempt {attempt}{because}{error}",
    "job.fail": "{job} has failed, attempt {attempt}{because}{error}",
    "job.crash": "{job} is tried again after attempt {attempt} crashed{because}",
    "job.crash_out": "{job} has failed: its attempts crash{because}",
    "job.suspend": "{job} sleeps or waits{because}",
    "job.release": "{job} is given back to the ledger{because}",
    "job.unknown": "no job {name} is known here: they wait for a worker that has it; see doctor",
    "job.hold": "{job} is held until a person decides{because}",
    "job.stop": "{job} has stopped: it was cancelled",
    "job.cancel": "{job} is cancelled",
    "job.expire": "{job} has expired before it began",
    "job.fenced": "attempt {attempt} of {job} has lost its claim and records nothing more{because}",
    "job.refused": "attempt {attempt} of {job} ends by the ledger's trouble, charged to no job",
    "job.uncharge": "{job}: the crash that the ledger's outage cost it is taken back",
    "message.refused": "a message of {job} from {engine} is out of date, and refused",
    "message.rejected": "a message from {engine} is none of this program's, and dropped{because}",
    "engine.failed_over": "{engine} failed over{to}{because}",
    "engine.failed_back": "{engine} is back and takes jobs again{because}",
    "engine.evacuated": "{jobs} jobs of queue {queue} go from {from} to {engine}{because}",
    "engine.queue_refused": "{engine} refuses jobs of queue {queue} alone{because}",
    "engine.queue_accepted": "{engine} takes jobs of queue {queue} again{because}",
    "route.tripped": "the share of {engine} by the route of {route} is taken away{because}",
    "worker.start": "worker {worker} of {engine} begins to serve queue {queue}, {slots} slots",
    "worker.stop": "worker {worker} of {engine} has stopped",
    "bridge.start": "bridge {worker} of {engine} begins to consume and to publish",
    "bridge.stop": "bridge {worker} of {engine} has stopped",
    "record.unfit": "record {place} from {engine} fits no {name}, and is kept as {job}{because}",
    "schedule.declare": "schedule {name} is declared; its next tick is {next_at}",
    "schedule.set_back": "schedule {name} waited for a tick too far ahead; it is {next_at} now",
    "schedule.fire": "schedule {name} made {job} of its tick {tick}",
    "schedule.skip": "schedule {name} leaves out its tick {tick}{because}",
    "schedule.error": "schedule {name} could make no job{error}",
    "notice.tell": "{job} is to tell people of a notice",
    "ledger.mended": "{instants} instants of the ledger lay too far ahead, and are pulled in",
    "ledger.pruning_dead_letters": "{count} dead letters of {name}, kept {kept_for}, are pruned",
}

#: The longest text from outside in a sentence.
MOST_CHARS = 500


def sentence(event: Event) -> str:
    """Return what happened, on one line, without passwords and control characters."""
    template = SENTENCES.get(event.kind, event.kind + "{because}{error}")
    return visible(redacted(template.format_map(_Facts(event))))


class _Facts(dict[str, str]):
    """The fields of the sentences; one that an event does not have is a question mark."""

    def __init__(self, event: Event) -> None:
        detail = event.detail
        own = {"engine": event.engine or "no engine", "queue": event.queue, "name": event.name}
        super().__init__({name: str(value) for name, value in (*own.items(), *detail.items())})
        self["job"] = f"job {event.job_id}" + (f" ({event.name})" if event.name else "")
        error = detail.get("error", event.error and event.error.message)
        self["because"] = _after_colon(detail.get("reason"))
        self["error"] = _after_colon(error)
        self["to"] = f" to {detail['to']}" if "to" in detail else ""
        self["took"] = f", in {detail['duration_s']} s" if "duration_s" in detail else ""

    def __missing__(self, name: str) -> str:
        return "?"


def _after_colon(text: object) -> str:
    return f": {str(text)[:MOST_CHARS]}" if text else ""
