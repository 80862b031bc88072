"""What a process counts until it is added to the ledger (see `docs/how-to/metrics.md`)."""

import os
import secrets
import threading
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from failsoft.job_engine.ports.measures import SUM, Batch, Series
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.telemetry import Event, Listener

_SENDING = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5)
_WAITING = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
_RUNNING = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 7200)
#: The upper bounds of the buckets of each histogram, in seconds; `+Inf` is above the last one.
BUCKETS: Mapping[str, Sequence[float]] = MappingProxyType(
    {
        "dispatch": _SENDING,
        "offer": _SENDING,
        "wait": _WAITING,
        "run": _RUNNING,
        "latency": _RUNNING,
    }
)
#: The bounds as the ledger has them.
BOUNDS: Mapping[str, Sequence[str]] = MappingProxyType(
    {name: (*(f"{bound:g}" for bound in bounds), "+Inf") for name, bounds in BUCKETS.items()}
)
_MICROSECONDS = 1_000_000
#: So many notes are kept one by one; then they are added up, since a process may never take them.
_MOST_NOTES = 4096


class Measures:
    """Counters and histograms of this process; any number of threads may add to them.

    What is counted is noted without a lock, and added up when it is taken. What is taken to be
    written is one batch, and remains so until it was: a batch whose reply was lost is written
    again and added once.
    """

    def __init__(self) -> None:
        self._batch: Batch | None = None
        self._last = ""
        self._reset()

    def count(self, series: Series, more: int = 1) -> None:
        """Add to a counter."""
        self._note(series, None, more)

    def observe(self, series: Series, seconds: float) -> None:
        """Add an observation to a histogram, which `BUCKETS` has.

        Args:
            series: Without `le`.
            seconds: What was observed; less than 0 is 0, as of two clocks that differ.
        """
        self._note(series, BUCKETS[series.measure], seconds)

    def steps_of(self, job: str) -> Callable[[str, str], None]:
        """Return what counts the steps of a job, by their kind and what became of them."""
        known = dict[tuple[str, str], Series]()

        def count(kind: str, outcome: str) -> None:
            series = known.get((kind, outcome))
            if series is None:
                shown = _KINDS.get(kind, kind)
                series = known[kind, outcome] = Series("steps", job, labels=f"{shown}/{outcome}")
            self.count(series)

        return count

    def take(self) -> Batch | None:
        """Return what is to be added to the ledger; None for nothing."""
        if self._pid != os.getpid():
            self._reset()
        self._add_up()
        with self._lock:
            if self._batch is None and (self._counts or self._histograms):
                counts = dict(self._counts)
                for series, histogram in self._histograms.items():
                    counts |= _counts_of(series, histogram)
                self._batch = Batch(secrets.token_hex(12), self._last, counts)
                self._counts.clear()
                self._histograms.clear()
            return self._batch

    def written(self, batch: Batch | None) -> None:
        """Forget a batch that was added."""
        with self._lock:
            if batch is not None and self._batch is batch:
                self._batch, self._last = None, batch.id

    def listening(self, listener: Listener) -> Listener:
        """Return a listener that counts an event, too."""

        def listen(event: Event) -> None:
            counter = _COUNTERS.get(event.kind)
            if counter is not None:
                counter(self, event)
            listener(event)

        return listen

    def _note(self, series: Series, bounds: Sequence[float] | None, value: float) -> None:
        if self._pid != os.getpid():
            self._reset()
        self._notes.append((series, bounds, value))
        if len(self._notes) >= _MOST_NOTES:
            self._add_up()

    def _reset(self) -> None:
        # What a parent counted is the parent's to write.
        self._pid = os.getpid()
        self._lock = threading.Lock()
        # By the bounds of its buckets, None for a counter. Appending and taking are atomic.
        self._notes = deque[tuple[Series, Sequence[float] | None, float]]()
        self._counts = Counter[Series]()
        # By the buckets of each, and then the sum, in microseconds.
        self._histograms = dict[Series, list[int]]()
        self._batch = None
        self._last = ""

    def _add_up(self) -> None:
        with self._lock:
            for _ in range(len(self._notes)):
                series, bounds, value = self._notes.popleft()
                if bounds is None:
                    self._counts[series] += int(value)
                else:
                    self._add(series, bounds, max(0.0, value))

    def _add(self, series: Series, bounds: Sequence[float], seconds: float) -> None:
        histogram = self._histograms.get(series)
        if histogram is None:
            histogram = self._histograms[series] = [0] * (len(bounds) + 2)
        histogram[bisect_left(bounds, seconds)] += 1
        histogram[-1] += round(seconds * _MICROSECONDS)


def _counts_of(series: Series, histogram: Sequence[int]) -> Mapping[Series, int]:
    """Return the counters of a histogram: of each bucket that has any, and of the sum."""
    names = (*BOUNDS[series.measure], SUM)
    counts = zip(names, histogram, strict=True)
    return {series._replace(le=le): count for le, count in counts if count or le == SUM}


def _of(event: Event, measure: str, labels: str = "") -> Series:
    return Series(measure, event.name or "", event.queue or "", event.engine or "", labels)


def _of_no_job(event: Event, measure: str) -> Series:
    return Series(measure, "", event.queue or "", event.engine or "")


def _of_no_engine(event: Event, measure: str, labels: str = "") -> Series:
    return Series(measure, event.name or "", event.queue or "", "", labels)


def _counted(measure: str) -> Callable[[Measures, Event], None]:
    """Count by engine and queue: the message may name no job of this ledger."""

    def add(measures: Measures, event: Event) -> None:
        measures.count(_of_no_job(event, measure))

    return add


def _claimed(measures: Measures, event: Event) -> None:
    waited = event.detail.get("waited_s")
    if waited is not None:
        measures.observe(_of_no_job(event, "wait"), waited)


def _concluded(measures: Measures, event: Event) -> None:
    state, took = event.detail.get("state"), event.detail.get("duration_s")
    transition = event.kind.removeprefix("job.")
    has_ended = _has_ended(state)
    if took is not None:
        measures.observe(_of(event, "run", str(state) if has_ended else transition), took)
    latency = event.detail.get("latency_s")
    if latency is not None and has_ended:
        measures.observe(_of_no_engine(event, "latency"), latency)
    cause = _CAUSES.get(transition)
    if cause is not None:
        measures.count(_of_no_engine(event, "retries", cause))


def _has_ended(state: Any) -> bool:
    return state is not None and JobState(state).is_terminal


def _handed_over(measures: Measures, event: Event) -> None:
    from_engine = event.detail.get("from") or ""
    if from_engine not in ("", event.engine):
        jobs, cause = event.detail.get("jobs", 1), event.detail.get("cause", "unavailable")
        series = Series("handovers", engine=str(event.engine), labels=f"{from_engine}/{cause}")
        measures.count(series, jobs)


def _recovered(measures: Measures, event: Event) -> None:
    engine = str(event.detail.get("from") or "")
    measures.count(Series("leases_lost", queue=event.queue or "", engine=engine))
    measures.count(_of_no_engine(event, "retries", "crash"))
    _handed_over(measures, event)


def _exhausted(measures: Measures, event: Event) -> None:
    measures.count(_of_no_job(event, "leases_lost"))


def _skipped(measures: Measures, event: Event) -> None:
    measures.count(Series("schedule_skips", event.name or ""))


#: What a kind of step is counted as that has a record of its own for its end.
_KINDS = {"answered": "wait"}
#: Why an attempt is followed by another one, by the transition that ended it.
_CAUSES = {"retry": "error", "crash": "crash", "release": "release"}
_ENDS = ("succeed", "retry", "fail", "crash", "crash_out", "suspend", "release", "hold", "stop")
_COUNTERS: Mapping[str, Callable[[Measures, Event], None]] = MappingProxyType(
    {
        "job.claim": _claimed,
        "job.fenced": _counted("fenced"),
        "job.offer": _handed_over,
        "job.offered": _handed_over,
        "job.reoffer": _handed_over,
        "engine.evacuated": _handed_over,
        "job.recover": _recovered,
        "job.exhaust": _exhausted,
        "message.refused": _counted("messages_refused"),
        "message.rejected": _counted("messages_rejected"),
        "schedule.skip": _skipped,
        **{f"job.{name}": _concluded for name in _ENDS},
    }
)
