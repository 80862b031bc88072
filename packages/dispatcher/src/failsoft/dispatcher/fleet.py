"""What serves the queues, and how the engines stand: rows that screens show, from ledger lists."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from failsoft.job_engine.ports.console import Notice, OpenBreaker, Sample, Tally
from failsoft.job_engine.records.engine_switch import DisabledEngine
from failsoft.job_engine.records.job import WorkerRecord
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.records.states import JobState

#: A breaker counts as open for so long after its process last said so.
FRESH = timedelta(seconds=30)
#: The span of small charts, a value for each two minutes.
LAST_HOUR = timedelta(hours=1)
_SPANS = 30
#: A queue is late whose oldest due job waits longer.
LATE = timedelta(minutes=5)
#: The metrics of samples that count ends.
ENDED = ("succeeded", "failed", "cancelled")
_WAITING = (JobState.SCHEDULED, JobState.OFFERED)


@dataclass(slots=True)
class Served:
    """What serves a queue on one engine."""

    workers: int = 0
    busy: int = 0
    slots: int = 0


@dataclass(slots=True)
class QueueRow:
    """A line of the table of queues."""

    name: str
    waiting: int = 0
    scheduled: int = 0
    running: int = 0
    held: int = 0
    failed: int = 0
    oldest: datetime | None = None
    served: dict[str, Served] = field(default_factory=dict)
    pause: Pause | None = None
    ended: Sequence[int] = ()

    @property
    def slots(self) -> int:
        """How many attempts all workers of the queue can run."""
        return sum(each.slots for each in self.served.values())

    @property
    def is_unserved(self) -> bool:
        """Whether jobs wait and no worker is there."""
        return self.waiting > 0 and self.slots == 0

    @property
    def is_late(self) -> bool:
        """Whether the oldest due job waits too long."""
        return self.oldest is not None and datetime.now(UTC) - self.oldest > LATE


@dataclass(slots=True)
class EngineRow:
    """An engine of the strip.

    Attributes:
        processes: How many processes have said anything lately.
        open_in: The breakers that are open, the oldest first.
        off: The pause or the switch that keeps offers from it.
        moved: The last notice of jobs that left it or came back.
    """

    name: str
    processes: int = 0
    workers: int = 0
    busy: int = 0
    slots: int = 0
    open_in: Sequence[OpenBreaker] = ()
    off: Pause | DisabledEngine | None = None
    moved: Notice | None = None

    @property
    def state(self) -> str:
        """`off`, `open` or `trusted`."""
        if self.off is not None:
            return "off"
        return "open" if self.open_in else "trusted"


def queue_rows(
    tally: Sequence[Tally],
    workers: Sequence[WorkerRecord],
    switches: Sequence[Pause | DisabledEngine],
    samples: Sequence[Sample] = (),
) -> Sequence[QueueRow]:
    """Return a row for each queue that has jobs or workers, by name."""
    rows: dict[str, QueueRow] = {}
    for each in tally:
        _count(rows.setdefault(each.queue, QueueRow(each.queue)), each)
    for worker in workers:
        row = rows.setdefault(worker.queue, QueueRow(worker.queue))
        served = row.served.setdefault(worker.engine, Served())
        served.workers += 1
        served.slots += worker.slots
        served.busy += worker.info.busy
    for name, values in ended_by_queue(samples).items():
        if name in rows:
            rows[name].ended = values
    for pause in switches:
        if isinstance(pause, Pause) and pause.kind == "queue":
            rows.setdefault(pause.name, QueueRow(pause.name)).pause = pause
    return [rows[name] for name in sorted(rows)]


def engine_rows(  # noqa: PLR0917 - each is a list of its own
    names: Sequence[str],
    workers: Sequence[WorkerRecord],
    breakers: Sequence[OpenBreaker],
    switches: Sequence[Pause | DisabledEngine],
    notices: Sequence[Notice],
) -> Sequence[EngineRow]:
    """Return a row for each engine of the settings, and for each that a live worker serves."""
    known = list(dict.fromkeys([*names, *sorted(each.engine for each in workers)]))
    processes = len({each.boot_id for each in workers} | {each.boot_id for each in breakers})
    rows = []
    for name in known:
        mine = [each for each in workers if each.engine == name]
        off = (each for each in switches if _is_of_engine(each, name))
        moved = (each for each in notices if each.engine == name and each.kind.startswith("engine"))
        open_in = sorted((each for each in breakers if each.engine == name), key=_since)
        rows.append(
            EngineRow(
                *(name, processes, len(mine)),
                sum(each.info.busy for each in mine),
                sum(each.slots for each in mine),
                open_in,
                next(off, None),
                next(moved, None),
            )
        )
    return rows


def ended_by_queue(samples: Sequence[Sample]) -> Mapping[str, Sequence[int]]:
    """Return how many jobs of each queue ended in each of the last spans, the oldest first."""
    minutes = sorted({each.minute for each in samples})
    if not minutes:
        return {}
    totals: dict[str, dict[datetime, int]] = defaultdict(lambda: defaultdict(int))
    for each in samples:
        if each.metric in ENDED and each.queue:
            totals[each.queue][each.minute] += each.value
    now = datetime.now(UTC)
    return {queue: list(_differences(found, now)) for queue, found in totals.items()}


def _differences(totals: Mapping[datetime, int], now: datetime) -> Iterator[int]:
    begin, step = now - LAST_HOUR, LAST_HOUR / _SPANS
    known = sorted(totals.items())
    before = known[0][1] if known else 0
    for place in range(1, _SPANS + 1):
        until = begin + step * place
        latest = [value for minute, value in known if minute <= until]
        value = max([before, *latest])
        yield value - before
        before = value


def _count(row: QueueRow, each: Tally) -> None:
    if each.state is JobState.OFFERED:
        row.waiting += each.count
    elif each.state is JobState.SCHEDULED:
        row.scheduled += each.count
    elif each.state is JobState.RUNNING:
        row.running += each.count
    elif each.state is JobState.HELD:
        row.held += each.count
    elif each.state is JobState.FAILED:
        row.failed += each.count
    if each.state in _WAITING and each.oldest_due is not None:
        is_due = each.oldest_due <= datetime.now(UTC)
        if is_due and (row.oldest is None or each.oldest_due < row.oldest):
            row.oldest = each.oldest_due


def _is_of_engine(switch: Pause | DisabledEngine, name: str) -> bool:
    return switch.name == name and (isinstance(switch, DisabledEngine) or switch.kind == "engine")


def _since(breaker: OpenBreaker) -> datetime:
    return breaker.since
