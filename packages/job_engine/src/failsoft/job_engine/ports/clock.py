"""The ledger's clock, which may jump ahead and back: how that is noticed, and what it leaves.

No instant that is made of "now and a span" may lie further ahead than that span; one that does
was written while the clock was ahead. See docs/explain/clocks.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from failsoft.job_engine.clock import Clock
from failsoft.job_engine.records.job import Conclusion, HistoryEntry, JobRecord
from failsoft.job_engine.records.new_job import NewJob
from failsoft.job_engine.records.states import PARK, RESUME, JobState

#: So far may a recorded instant lie ahead of the clock, and clocks drift between two looks.
SLACK = timedelta(seconds=1)
#: How long a clock that was set anew must go on so before what is late by it is taken for late.
GRACE = timedelta(minutes=1)

#: The longest that a job waits that no engine took.
PARK_MOST = timedelta(seconds=30)
#: How long a due job waits whose own engines take no offers, while others do.
BLOCKED_PAUSE = timedelta(seconds=5)

#: In an event's detail: the spans, in seconds, that the instants it set were made of.
DELAY, EXPIRES_IN, UNIQUE_FOR = "delay", "expires_in", "unique_for"
#: And the moment, where it was given as one.
UNTIL = "until"
#: In that of a dispatch: what the job waits for; the end of that makes it due at once.
WAITS_FOR = "waits_for"

#: The event that a history begins with.
DISPATCH = "dispatch"
#: Events that note no span: the job is due at once after them, or within so long.
_AT_ONCE: Mapping[str, timedelta] = {
    "wake": timedelta(0),
    RESUME.name: timedelta(0),
    PARK.name: PARK_MOST,
}


@dataclass(frozen=True, slots=True)
class LedgerClock:
    """What a look at the ledger's clock has found.

    Attributes:
        now: The database's time.
        newest: The latest moment at which a job was recorded or a worker beat.
        pickup: The latest pickup deadline of an offer.
    """

    now: datetime
    newest: datetime | None
    pickup: datetime | None

    def ahead(self, patience: timedelta) -> timedelta:
        """Return by how much the clock was ahead when it wrote the latest; zero if it was not.

        Args:
            patience: The longest that an offer may wait for its pickup.
        """
        none = timedelta(0)
        recorded = none if self.newest is None else self.newest - self.now
        offered = none if self.pickup is None else self.pickup - self.now - patience
        ahead = max(recorded, offered)
        return ahead if ahead > SLACK else none


class ClockLedger(Protocol):
    """The ledger's clock, and the repair of what was written while it was ahead."""

    def clock(self) -> LedgerClock:
        """Look at the clock, and at the latest instants that were written by it."""
        ...

    def mend(self, patience: Mapping[str, timedelta], ahead: timedelta) -> int:
        """Pull in what was written while the clock was ahead; return how much that was.

        Beats, events that were sent and starts that a rate limit counts are taken for as old as
        this look. A job that waits for a known span waits for that span from now on; one that
        waits for a moment that its dispatch named is left alone. No state is changed.

        Args:
            patience: The longest that an offer of a queue may wait for its pickup, by the queue's
                name; offers of other queues are left alone.
            ahead: By how much the clock was ahead, as far as that is known. It is kept: moments
                that were written in this time prove nothing to a check of the ledger.
        """
        ...


class ClockWatch:
    """Notices by a steady clock that the ledger's clock was set. Not to be shared by threads.

    Attributes:
        since: From when on time has passed that this watch saw pass: the last look before the
            clock was set, where it is back; the first one after that, where it stayed. None
            before it was ever set.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._trusted: float | None = None
        self._other: float | None = None
        self._since = 0.0
        self._last = self._first = datetime.min.replace(tzinfo=UTC)
        self.since: datetime | None = None
        self._back = 0.0

    def look(self, now: datetime) -> bool:
        """Compare the ledger's time with the steady one; return whether it may be trusted.

        A clock that was set is trusted when it is back where it was, or has stayed where it was
        set to for `GRACE`. Until then nothing should be taken for late, and nothing made up for.
        """
        steady = self._clock.steady()
        offset = now.timestamp() - steady
        before = self._other if self._other is not None else self._trusted
        if self._trusted is None or before is None:
            self._trusted, self._last = offset, now
            return True
        self._back = max(self._back, before - offset)
        if _is_near(offset, self._trusted):
            self.since = self.since if self._other is None else self._last
            self._trusted, self._other = offset, None
        elif self._other is None or not _is_near(offset, self._other):
            self._other, self._since, self._first = offset, steady, now
        elif steady - self._since >= GRACE.total_seconds():
            self._trusted, self._other, self.since = offset, None, self._first
        else:
            self._other = offset
        if self._other is None:
            self._last = now
        return self._other is None

    @property
    def set_back(self) -> timedelta:
        """Return by how much the clock was set back since `forget`; mostly zero."""
        is_set = self._back > SLACK.total_seconds()
        return timedelta(seconds=self._back) if is_set else timedelta(0)

    def forget(self) -> None:
        """Forget that the clock was set back: what it had written is mended."""
        self._back = 0.0


def spans_of_dispatch(job: NewJob, *, offered: bool) -> dict[str, Any]:
    """Return what the event of a dispatch notes of the spans that its instants are made of."""
    noted: dict[str, Any] = {}
    if job.expires_in is not None:
        noted[EXPIRES_IN] = job.expires_in.total_seconds()
    if job.unique is not None and job.unique.period is not None:
        noted[UNIQUE_FOR] = job.unique.period.total_seconds()
    if offered:
        return noted
    if job.waits_for is not None:
        noted[WAITS_FOR] = job.waits_for
        return noted
    return noted | _time(job.delay, job.run_at)


def spans_of_end(conclusion: Conclusion) -> dict[str, Any]:
    """Return what the event of an attempt's end notes of them."""
    if conclusion.transition.target is not JobState.SCHEDULED:
        return {}
    return _time(conclusion.delay, conclusion.run_at)


def _time(delay: timedelta | None, run_at: datetime | None) -> dict[str, Any]:
    if run_at is not None:
        return {UNTIL: run_at.isoformat()}
    return {DELAY: 0.0 if delay is None else delay.total_seconds()}


#: Events of a waiting job that leave it waiting until when it did; what is before them says when.
BESIDE_WAITS = ("uncharge",)


def mended_time(job: JobRecord, last: HistoryEntry, now: datetime) -> dict[str, datetime]:
    """Return when a job is due that waits, if it waits for longer than it should.

    Args:
        job: The job.
        last: Its last event.
        now: The ledger's time.
    """
    if job.state is not JobState.SCHEDULED or job.run_at is None:
        return {}
    due = _due(job, last, now)
    # A job that was due may have been put off since, for a moment.
    latest = None if due is None else max(due, now + BLOCKED_PAUSE)
    if due is None or latest is None or job.run_at <= latest + SLACK:
        return {}
    return {"run_at": max(due, now)}


def mended_terms(job: JobRecord, event: HistoryEntry, now: datetime) -> dict[str, datetime]:
    """Return by when a job must begin and until when its key is held, if those are too late.

    Args:
        job: The job.
        event: That of its dispatch, or of one that took its place.
        now: The ledger's time.
    """
    if event.at <= now + SLACK:
        return {}
    terms = {"expires_at": EXPIRES_IN, "unique_until": UNIQUE_FOR}
    noted = {
        column: now + timedelta(seconds=event.detail[span])
        for column, span in terms.items()
        if span in event.detail
    }
    return _if_later(job, noted)


def _due(job: JobRecord, last: HistoryEntry, now: datetime) -> datetime | None:
    """Return when a job was to be due by its last event; None if that does not say it."""
    if UNTIL in last.detail:
        return datetime.fromisoformat(last.detail[UNTIL])
    span = _AT_ONCE.get(last.kind)
    if DELAY in last.detail:
        span = timedelta(seconds=last.detail[DELAY])
    elif last.kind == DISPATCH:
        # Due when what it waited for ended, or at once: the work of another job, done again.
        waited = WAITS_FOR in last.detail and job.waits_for is None
        span = timedelta(0) if waited or job.retry_of is not None else None
    return None if span is None else min(last.at, now) + span


def _if_later(job: JobRecord, wanted: Mapping[str, datetime]) -> dict[str, datetime]:
    known = {column: getattr(job, column) for column in wanted}
    return {
        column: at
        for column, at in wanted.items()
        if known[column] is not None and known[column] > at + SLACK
    }


def _is_near(one: float, other: float) -> bool:
    return abs(one - other) <= SLACK.total_seconds()
