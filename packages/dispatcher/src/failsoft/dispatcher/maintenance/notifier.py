"""The notifier: any number of them, no leader, tells notices by the rules of the settings.

What is told, and what waits for a digest, is decided from one look at the ledger and carried out by
one compare-and-set: the notices are marked in the transaction that records the jobs which tell
them, so that a crash at any point neither loses a notice nor tells it twice (rule 31). The jobs are
due at once, and go the way of any job: about a Redis that is away by whatever engine there is.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from failsoft.job_engine.policies.notifications import NotifyRule
from failsoft.job_engine.ports.notices import (
    MOST_TOLD,
    Digest,
    NoticeLedger,
    Pending,
    Telling,
    Untold,
)
from failsoft.job_engine.records.new_job import NewJob
from failsoft.job_engine.telemetry import Event, Listener
from failsoft.job_engine.values.redaction import redacted

#: What is older is no news: it is marked, and stays to be read in the console.
NEWS_FOR = timedelta(days=1)
#: How many notices of a digest are shown.
MOST_EXAMPLES = 5
#: The longest reason that a digest keeps.
_MOST_CHARS = 200


class Telegraph(Protocol):
    """What makes a message to a channel of what is to be told."""

    def job(self, channel: str, told: "Told") -> NewJob:
        """Return the job that tells it; not recorded yet."""
        ...

    def is_own(self, job: str | None) -> bool:
        """Return whether a job of that name is one that tells: its failures are told to nobody."""
        ...


@dataclass(frozen=True, slots=True)
class Told:
    """What one message says.

    Attributes:
        kind: The kind of the notices.
        count: How many there are.
        examples: The first of them, as `example` makes them.
    """

    kind: str
    count: int
    first_at: datetime
    last_at: datetime
    examples: Sequence[Mapping[str, Any]]


class Notifier:
    """Tell what is new at once, and what follows it soon together."""

    def __init__(
        self,
        ledger: NoticeLedger,
        rules: Sequence[NotifyRule],
        telegraph: Telegraph,
        *,
        listener: Listener,
        most: int = MOST_TOLD,
    ) -> None:
        """Work beside any number of others with the same rules.

        Args:
            ledger: Where the notices are.
            rules: Who is told of what; each that chooses a notice tells it. None, and no notice
                is touched.
            telegraph: Makes the jobs.
            listener: Called with an event for each job.
            most: The most notices of one look.
        """
        self._ledger = ledger
        self._rules = {rule.id: rule for rule in rules}
        self._telegraph = telegraph
        self._listener = listener
        self._most = most

    def tick(self) -> int:
        """Look once, and go on while there is a full batch; return how many jobs tell of it.

        Raises:
            LedgerUnavailableError: The ledger is away; look again later.
        """
        count = 0
        while self._rules:
            pending = self._ledger.pending_notices(self._most)
            telling = self._decide(pending)
            # Another process that was first has told it; the next look finds what it left.
            if telling is None or not self._ledger.tell(telling):
                break
            count += len(telling.jobs)
            for job in telling.jobs:
                self._listener(Event("notice.tell", job.id, job.name, job.queue))
            if len(pending.untold) < self._most:
                break
        return count

    def _decide(self, pending: Pending) -> Telling | None:
        """Return what is to be told now; None where there is nothing to do."""
        kept = {(each.rule, each.topic): each for each in pending.digests}
        news = self._news(pending)
        changes, jobs = list[tuple[Digest | None, Digest]](), list[NewJob]()
        for rule_id, topic in sorted({*news, *(key for key in kept if key[0] in self._rules)}):
            rule, seen = self._rules[rule_id], kept.get((rule_id, topic))
            begun = seen or Digest(rule_id, topic, pending.now)
            grown = _grown(begun, news.get((rule_id, topic), ()))
            if pending.now < begun.until:
                grown = grown if rule.digest else begun
            elif grown.count:
                jobs.append(self._telegraph.job(rule.to, _told(grown)))
                grown = Digest(rule_id, topic, pending.now + rule.every)
            else:
                continue
            if grown != seen:
                changes.append((seen, grown))
        if not pending.untold and not jobs:
            return None
        return Telling([each.notice.id for each in pending.untold], changes, jobs)

    def _news(self, pending: Pending) -> Mapping[tuple[str, str], Sequence[Untold]]:
        """Return what each rule has to tell, by topic."""
        found = defaultdict[tuple[str, str], list[Untold]](list)
        for each in pending.untold:
            is_news = each.notice.at > pending.now - NEWS_FOR
            if is_news and not self._telegraph.is_own(each.job):
                for rule_id, rule in self._rules.items():
                    if rule.chooses(each.notice.kind, each.job):
                        found[rule_id, topic_of(each)].append(each)
        return found


def topic_of(untold: Untold) -> str:
    """Return what a notice is told together with: its kind, of the engine or queue it is about.

    So that the failover of a second engine does not wait for the digest of the first, and hundreds
    of jobs that fail are one topic.
    """
    notice = untold.notice
    about = {"engine": notice.engine, "queue": notice.queue}.get(notice.kind.partition(".")[0])
    return f"{notice.kind}:{about}" if about else notice.kind


def example(untold: Untold) -> dict[str, Any]:
    """Return what a message shows of a notice, as JSON values; no payload, and no error's text."""
    notice = untold.notice
    facts = {
        "engine": notice.engine,
        "queue": notice.queue,
        "job": untold.job,
        "job_id": notice.job_id,
        "error_type": untold.error_type,
        "reason": notice.detail.get("reason"),
    }
    said = {name: redacted(str(value))[:_MOST_CHARS] for name, value in facts.items() if value}
    return {"id": notice.id, "kind": notice.kind, "at": notice.at.isoformat(), **said}


def _grown(digest: Digest, news: Sequence[Untold]) -> Digest:
    if not news:
        return digest
    examples = [*digest.examples, *map(example, news[:MOST_EXAMPLES])][:MOST_EXAMPLES]
    return replace(
        digest,
        count=digest.count + len(news),
        first_at=digest.first_at or news[0].notice.at,
        last_at=news[-1].notice.at,
        examples=examples,
    )


def _told(digest: Digest) -> Told:
    assert digest.first_at is not None  # noqa: S101 - it has counted something
    assert digest.last_at is not None  # noqa: S101 - as above
    kind = digest.topic.partition(":")[0]
    return Told(kind, digest.count, digest.first_at, digest.last_at, digest.examples)
