"""One job's life as a drawing: a lane for each engine, offers, attempts, steps, hand-overs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from failsoft.console.views.filters import clock, seen, span
from failsoft.console.views.scale import Scale
from failsoft.job_engine.ports.console import Story
from failsoft.job_engine.records.job import (
    AttemptRecord,
    DispatchTry,
    HistoryEntry,
    StepKind,
    StepRecord,
    TryOutcome,
)
from failsoft.job_engine.records.states import CRASH, CRASH_OUT, EXHAUST, FAIL, RECOVER, RETRY

#: Units of the drawing.
WIDTH = 1000
LEFT = 110
LANE = 66
TOP = 14
_BAR = 36
_STEP = 13

#: The ends of attempts that lost their job, and of those that failed.
_LOST = frozenset({RECOVER.name, EXHAUST.name, CRASH.name, CRASH_OUT.name})
_FAILED = frozenset({RETRY.name, FAIL.name})
#: Of a job with a longer history the newest part is drawn.
MOST_ATTEMPTS = 60
MOST_STEPS = 400
#: So many of its newest steps are told apart on the axis, whatever they took.
_TOLD_APART = 40
#: The units of a letter in the name of a step.
_LETTER = 6.2
_SLEEPS = (StepKind.SLEEP, StepKind.WAIT)


@dataclass(frozen=True, slots=True)
class Mark:
    """Something in a lane: a bar, or where it has no width, a sign.

    Attributes:
        kind: `offer`, `attempt`, `step`, `sleep` or `try`.
        look: How it ended: `good`, `bad`, `lost`, `open`, `plain`.
    """

    kind: str
    look: str
    x: float
    y: float
    width: float
    height: float
    title: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table below the drawing."""

    at: datetime
    engine: str
    what: str
    took: float | None = None
    look: str = "plain"


@dataclass(frozen=True, slots=True)
class Lanes:
    """The drawing.

    Attributes:
        lanes: The engines, each with the place of its lane.
        marks: What is in the lanes.
        arrows: The hand-overs, as paths, each with a title.
        ticks: Places with the time of the day.
        breaks: Where idle time was cut short: place and width.
        rows: The same as a table.
    """

    height: int
    lanes: Sequence[tuple[str, float]]
    marks: Sequence[Mark]
    arrows: Sequence[tuple[str, str]]
    ticks: Sequence[tuple[float, str]]
    breaks: Sequence[tuple[float, float]]
    rows: Sequence[Row]
    width: int = WIDTH
    left: int = LEFT


@dataclass(frozen=True, slots=True)
class _Offer:
    engine: str
    epoch: int
    since: datetime
    until: datetime
    is_claimed: bool


def lanes_of(story: Story, now: datetime | None = None) -> Lanes | None:
    """Return the drawing of a job; None for one that no engine has had."""
    drawing = _Drawing(story, datetime.now(UTC) if now is None else now)
    return drawing.drawn() if drawing.engines else None


class _Drawing:
    def __init__(self, story: Story, now: datetime) -> None:
        self._story = story
        self._now = now if not story.job.state.is_terminal else (story.job.finished_at or now)
        self._attempts = list(story.attempts)[-MOST_ATTEMPTS:]
        self._steps = [each for each in story.steps if each.recorded_at][-MOST_STEPS:]
        self._offers = list(self._read_offers())
        named = [each.engine for each in self._offers]
        named += [each.engine for each in self._attempts]
        named += [each.engine for each in story.tries]
        self.engines = list(dict.fromkeys(named))

    def drawn(self) -> Lanes:
        spans = [(each.since, each.until) for each in self._offers]
        spans += [(each.started_at, each.ended_at or self._now) for each in self._attempts]
        points = {point for each in spans for point in each}
        points |= {self._story.job.created_at, self._now}
        points |= {each.at for each in self._story.tries if each.at}
        for step in self._steps[-_TOLD_APART:]:
            since, until, _ = self._span_of(step)
            points |= {since, until}
        scale = self._scale = Scale(points, spans, LEFT + 10, WIDTH - LEFT - 30)
        marks = [*self._offer_marks(), *self._attempt_marks(), *self._step_marks()]
        marks += self._try_marks()
        height = TOP + LANE * len(self.engines) + 26
        lanes = [(name, self._y(name)) for name in self.engines]
        ticks = [(place, clock(moment)) for place, moment in scale.ticks(110)]
        rows = sorted(self._rows(), key=lambda row: row.at)
        arrows = list(self._arrows())
        return Lanes(height, lanes, marks, arrows, ticks, scale.breaks, rows)

    def _y(self, engine: str) -> float:
        return TOP + LANE * self.engines.index(engine) + LANE / 2

    def _read_offers(self) -> Iterator[_Offer]:
        claimed = {each.epoch: each.started_at for each in self._story.attempts}
        events = self._story.events
        for place, event in enumerate(events):
            engine = event.detail.get("engine")
            if engine and event.state == "offered":
                ends = (each.at for each in events[place + 1 :] if each.state != "offered")
                others = (each.at for each in events[place + 1 :] if each.epoch != event.epoch)
                over = min([*ends, *others], default=self._now)
                until = claimed.get(event.epoch, over)
                yield _Offer(
                    str(engine), event.epoch, event.at, max(until, event.at), event.epoch in claimed
                )

    def _bar(self, since: datetime, until: datetime, least: float = 3.0) -> tuple[float, float]:
        x = self._scale.place(since)
        return round(x, 1), round(max(least, self._scale.place(until) - x), 1)

    def _offer_marks(self) -> Iterator[Mark]:
        for each in self._offers:
            x, width = self._bar(each.since, each.until)
            waited = (each.until - each.since).total_seconds()
            end = "claimed" if each.is_claimed else "not claimed"
            title = f"offer to {seen(each.engine)}, epoch {each.epoch}: {end} after {span(waited)}"
            y = self._y(each.engine) - _BAR / 2
            look = "plain" if each.is_claimed else "open"
            yield Mark("offer", look, x, y, width, _BAR, title)

    def _attempt_marks(self) -> Iterator[Mark]:
        for number, each in enumerate(self._attempts, 1):
            x, width = self._bar(each.started_at, each.ended_at or self._now, 5.0)
            took = ((each.ended_at or self._now) - each.started_at).total_seconds()
            title = f"attempt on {seen(each.engine)} by {seen(each.worker)}: {_end(each)}, "
            y = self._y(each.engine) - _BAR / 2
            title += span(took)
            yield Mark("attempt", look_of(each), x, y, width, _BAR, title, f"#{number}")

    def _step_marks(self) -> Iterator[Mark]:
        for step in self._steps:
            attempt = self._attempt_of(step)
            if attempt is None or step.recorded_at is None:
                continue
            since, until, kind = self._span_of(step)
            x, width = self._bar(since, until, 2.0)
            title = f"{kind} {seen(step.name)}"
            if step.elapsed is not None:
                title += f": {span(step.elapsed)}"
            y = self._y(attempt.engine) + (-_STEP / 2 if kind == "sleep" else _BAR / 2 - _STEP - 3)
            name = seen(step.name)
            label = name if width > _LETTER * len(name) + 8 and kind == "step" else ""
            yield Mark(kind, "plain", x, y, width, _STEP, title, label)

    def _span_of(self, step: StepRecord) -> tuple[datetime, datetime, str]:
        at = step.recorded_at or self._now
        if step.kind in _SLEEPS:
            later = (each.started_at for each in self._attempts if each.started_at > at)
            return at, min(later, default=self._now), "sleep"
        # A worker's clock and the database's may differ by what a step took.
        ran = self._attempt_of(step)
        begun = at - timedelta(seconds=step.elapsed or 0)
        return (begun if ran is None else max(begun, ran.started_at)), at, "step"

    def _attempt_of(self, step: StepRecord) -> AttemptRecord | None:
        return next((each for each in self._attempts if each.epoch == step.epoch), None)

    def _try_marks(self) -> Iterator[Mark]:
        for each in self._story.tries:
            if each.outcome is not TryOutcome.ACCEPTED and each.at is not None:
                x, y = self._scale.place(each.at), self._y(each.engine)
                title = try_in_words(each)
                yield Mark("try", "bad", round(x, 1), y, 0, 0, title)

    def _arrows(self) -> Iterator[tuple[str, str]]:
        for before, after in zip(self._offers, self._offers[1:], strict=False):
            if before.engine != after.engine:
                x, begin, end = (
                    self._scale.place(after.since),
                    self._y(before.engine),
                    self._y(after.engine),
                )
                down = 1 if end > begin else -1
                start, tip = begin + down * (_BAR / 2 + 2), end - down * (_BAR / 2 + 4)
                path = f"M{x - 14:.1f} {start:.1f} C{x - 14:.1f} {tip:.1f} {x:.1f} {start:.1f} "
                path += f"{x:.1f} {tip:.1f}"
                title = f"handed over from {seen(before.engine)} to {seen(after.engine)}"
                yield path, f"{title}, epoch {after.epoch}"

    def _rows(self) -> Iterator[Row]:
        for offer in self._offers:
            took = (offer.until - offer.since).total_seconds()
            end = "claimed" if offer.is_claimed else "not claimed"
            yield Row(offer.since, offer.engine, f"offer, epoch {offer.epoch}: {end}", took)
        for attempt in self._attempts:
            took = ((attempt.ended_at or self._now) - attempt.started_at).total_seconds()
            what = f"attempt by {attempt.worker}: {_end(attempt)}"
            yield Row(attempt.started_at, attempt.engine, what, took, look_of(attempt))
        for step in self._steps:
            ran = self._attempt_of(step)
            at = step.recorded_at or self._now
            what = f"{step.kind} {step.name}"
            yield Row(at, "" if ran is None else ran.engine, what, step.elapsed)
        for each in self._story.tries:
            if each.outcome is not TryOutcome.ACCEPTED and each.at is not None:
                yield Row(each.at, each.engine, try_in_words(each), each.elapsed, "bad")


def look_of(attempt: AttemptRecord) -> str:
    """Return how an attempt is drawn."""
    if attempt.outcome is None:
        return "open"
    if attempt.outcome in _LOST:
        return "lost"
    return "bad" if attempt.outcome in _FAILED else "good"


def try_in_words(each: DispatchTry) -> str:
    """Return what became of a try that did not lead to an offer."""
    why = f": {seen(each.reason)}" if each.reason else ""
    return f"{seen(each.engine)} {each.outcome} at {each.stage}{why}"


def last_change(events: Sequence[HistoryEntry]) -> datetime | None:
    """Return when a job last changed."""
    return events[-1].at if events else None


def _end(attempt: AttemptRecord) -> str:
    if attempt.outcome is None:
        return "runs"
    return "lease lost" if attempt.outcome == RECOVER.name else attempt.outcome.replace("_", " ")
