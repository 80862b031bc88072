"""The list of what is measured: every series that an exporter may show, and what it means."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

#: Every name begins with this.
PREFIX = "failsoft_"


class Kind(StrEnum):
    """What a series is, as Prometheus has it."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric.

    Attributes:
        name: Without the prefix, and without the `_total` of a counter.
        labels: The names of its labels, in their order. Never a job's id, key, tag or message.
        source: Where the figure comes from.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    source: str

    @property
    def family(self) -> str:
        """Return the name that queries use; of a histogram, what its series begin with."""
        return f"{PREFIX}{self.name}" + ("_total" if self.kind is Kind.COUNTER else "")


_GAUGE, _COUNTER, _HISTOGRAM = Kind.GAUGE, Kind.COUNTER, Kind.HISTOGRAM
_ALL = (
    Metric(
        *("jobs", _GAUGE, ("queue", "engine", "state")),
        *("Jobs that are scheduled, offered, running or held.", "jobs"),
    ),
    Metric(
        *("dead_letters", _GAUGE, ("job", "queue")),
        *("Jobs that have failed and are kept.", "jobs"),
    ),
    Metric(
        *("queue_oldest_due_seconds", _GAUGE, ("queue", "engine")),
        *("How long the oldest job that may begin has waited for it.", "jobs"),
    ),
    Metric(
        *("held_oldest_seconds", _GAUGE, ("queue",)),
        *("How long ago the oldest job that is held was recorded.", "jobs"),
    ),
    Metric(
        *("jobs_ended", _COUNTER, ("job", "queue", "engine", "outcome")),
        *("Jobs that have ended.", "the transaction of the end"),
    ),
    Metric(
        *("jobs_dispatched", _COUNTER, ("job", "queue", "disposition")),
        *("Dispatches: created, replaced, or existing.", "dispatching processes"),
    ),
    Metric(
        *("dispatch_tries", _COUNTER, ("engine", "stage", "outcome")),
        *("Tries to hand jobs to an engine, and why it was passed over.", "dispatching processes"),
    ),
    Metric(
        *("dispatch_seconds", _HISTOGRAM, ("queue",)),
        *("How long a dispatch takes its caller.", "dispatching processes"),
    ),
    Metric(
        *("offer_seconds", _HISTOGRAM, ("engine", "outcome")),
        *("How long an engine takes to answer an offer.", "dispatching processes"),
    ),
    Metric(
        *("job_wait_seconds", _HISTOGRAM, ("queue", "engine")),
        *("From a dispatch to the first claim, of jobs without a delay.", "workers"),
    ),
    Metric(
        *("job_run_seconds", _HISTOGRAM, ("job", "queue", "engine", "outcome")),
        *("How long an attempt runs.", "workers"),
    ),
    Metric(
        *("job_latency_seconds", _HISTOGRAM, ("job", "queue")),
        *("From a dispatch to the job's end, with all its attempts.", "workers"),
    ),
    Metric(
        *("steps", _COUNTER, ("job", "kind", "outcome")),
        *("Steps: run, reused, retried, or timed out.", "workers"),
    ),
    Metric(
        *("handovers", _COUNTER, ("from_engine", "to_engine", "reason")),
        *("Jobs that went from one engine to another.", "dispatching processes and maintenance"),
    ),
    Metric(
        *("failovers", _COUNTER, ("engine", "direction")),
        *("Times at which jobs left an engine (over) or had it again (back).", "notices"),
    ),
    Metric(
        *("breaker_open", _GAUGE, ("engine",)),
        *("Processes that offer an engine nothing, as it has failed.", "processes, for 30 s"),
    ),
    Metric(
        *("leases_lost", _COUNTER, ("queue", "engine")),
        *("Attempts whose worker died or fell silent.", "maintenance"),
    ),
    Metric(
        *("fenced", _COUNTER, ("queue", "engine")),
        *("Attempts that lost their authority before their end was recorded.", "workers"),
    ),
    Metric(
        *("messages_refused", _COUNTER, ("queue", "engine")),
        *("Messages that were out of date, which is harmless.", "workers"),
    ),
    Metric(
        *("messages_rejected", _COUNTER, ("queue", "engine")),
        *("Messages that are not signed by this ledger.", "workers"),
    ),
    Metric(
        *("retries", _COUNTER, ("job", "queue", "cause")),
        *("Attempts that another one follows, by what ended them.", "workers and maintenance"),
    ),
    Metric(
        *("workers", _GAUGE, ("queue", "engine")),
        *("Worker processes that beat.", "workers"),
    ),
    Metric(
        *("worker_slots", _GAUGE, ("queue", "engine")),
        *("Attempts that those run side by side at most.", "workers"),
    ),
    Metric(
        *("worker_busy", _GAUGE, ("queue", "engine")),
        *("Attempts that those run.", "workers"),
    ),
    Metric(
        *("engine_up", _GAUGE, ("engine",)),
        *("Whether an engine took the exporter's write probe; not with --no-probe.", "probes"),
    ),
    Metric(
        *("engine_backlog", _GAUGE, ("queue", "engine")),
        *("Messages that wait at an engine, where it says so; not with --no-probe.", "probes"),
    ),
    Metric(
        *("paused", _GAUGE, ("kind", "name")),
        *("1 for each queue, job and engine that is paused.", "pauses"),
    ),
    Metric(
        *("paused_since_seconds", _GAUGE, ("kind", "name")),
        *("For how long it has been paused.", "pauses"),
    ),
    Metric(
        *("schedule_next_seconds", _GAUGE, ("job",)),
        *("Time until the next tick of a schedule; 0 when it is due.", "schedules"),
    ),
    Metric(
        *("schedule_late_seconds", _GAUGE, ("job",)),
        *("For how long a tick is due that was not fired; 0 for a paused schedule.", "schedules"),
    ),
    Metric(
        *("schedule_skips", _COUNTER, ("job",)),
        *("Ticks that were left out.", "maintenance"),
    ),
    Metric(
        *("limit_waiting_jobs", _GAUGE, ("job",)),
        *("Due jobs under limits, which wait for room or for their offer.", "jobs"),
    ),
    Metric(
        *("waits", _GAUGE, ("kind",)),
        *("Jobs that wait for an event, for the end of a job they invoked, or that sleep.", "jobs"),
    ),
    Metric(
        *("notices", _COUNTER, ("kind",)),
        *("What people may have to learn of.", "notices"),
    ),
    Metric(
        *("ledger_bytes", _GAUGE, ("table",)),
        *("Size of a table with its indexes; of a SQLite file, `all`.", "the database's catalogue"),
    ),
    Metric(
        *("ledger_rows", _GAUGE, ("table",)),
        *("Rows of a table; an estimate on PostgreSQL.", "the database's catalogue"),
    ),
    Metric(
        *("scrape_seconds", _GAUGE, ()),
        *("How long the last look at the ledger took.", "the exporter"),
    ),
    Metric(
        *("scrape_ok", _GAUGE, ()),
        *("Whether these figures are fresh: 0 when the ledger did not answer.", "the exporter"),
    ),
    Metric(
        *("build_info", _GAUGE, ("version", "python", "ledger")),
        *("Always 1.", "the exporter"),
    ),
)
#: Every metric, by its name.
METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ALL})
#: The outcomes of jobs, which begin at 0 for each job that is known.
OUTCOMES = ("succeeded", "failed", "cancelled")
