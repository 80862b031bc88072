"""Dispatching chains and groups: everything wrong is refused before anything is stored."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, get_args

from failsoft.dispatcher.handles.flow import ChainHandle, GroupHandle
from failsoft.dispatcher.handles.job import HandleLedger, JobHandle
from failsoft.dispatcher.offering.offerer import Offerer
from failsoft.dispatcher.offering.router import Route
from failsoft.dispatcher.options.checks import check_completion, check_links
from failsoft.dispatcher.options.options import DispatchOptions, Ids, new_job
from failsoft.job_engine.declaration import follow_ups_of
from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.definitions.links import AnyLink, Link
from failsoft.job_engine.errors import (
    IdempotencyConflictError,
    LedgerError,
    OptionInvalidError,
)
from failsoft.job_engine.policies.queue import profile_or_default
from failsoft.job_engine.ports.measures import Series
from failsoft.job_engine.records.follow_ups import NextJob, follow_ups_from
from failsoft.job_engine.records.groups import WHOLE, GroupRecord, GroupResult, When, member_id
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.message import is_job_id
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.tracing import traced, tracer
from failsoft.job_engine.validation import Expect

#: The longest chain.
MAX_CHAIN = 100
#: The largest group, and how many of its jobs one transaction records.
MAX_GROUP = 100_000
CHUNK = 500

Completion = JobDefinition[GroupResult, Any] | AnyLink[Any]

_expect = Expect(OptionInvalidError).value

# Room for what is added to it: the place of a job, or `-completion`.
_FLOW_ID = re.compile(r"[A-Za-z0-9_-]{1,48}")


class Flow:
    """Record jobs that wait for others, and offer the one that waits for nothing."""

    def __init__(
        self, ledger: HandleLedger, route: Callable[[NewJob], Route], offerer: Offerer, ids: Ids
    ) -> None:
        self._ledger = ledger
        self._route = route
        self._offerer = offerer
        self._clock = offerer.clock
        self._ids = ids

    def chain(
        self,
        links: Sequence[AnyLink[Any]],
        chain_id: str | None,
        after: JobHandle[Any] | str | None,
    ) -> ChainHandle[Any]:
        """Record a chain in one commit, and offer its first job unless that waits for another."""
        check_links(links)
        _expect(0 < len(links) <= MAX_CHAIN, f"a chain of 1 to {MAX_CHAIN} jobs", len(links))
        _expect(links[0].result_field is None, "no result_field in the first job", "one")
        own_id = self._flow_id(chain_id, links[0])
        jobs = self._chained(links, own_id, _id_of(after))
        if chain_id is None:
            jobs = [job if link.job_id else _unnamed(job) for job, link in _pairs(jobs, links)]
        self._check_engines(jobs)
        with tracer().dispatch(jobs[0].queue, jobs[0].name) as span:
            span.note(batch_count=len(jobs), conversation_id=own_id)
            jobs = [traced(job, span) for job in jobs]
            records, created = self._record_chain(jobs, self._route(jobs[0]), links[0])
        handles = [self._handle(*pair) for pair in zip(records, links, strict=True)]
        return ChainHandle(handles, self._clock, created=created)

    def group(
        self,
        links: Sequence[AnyLink[Any]],
        completion: Completion | None,
        when: When,
        group_id: str | None,
    ) -> GroupHandle:
        """Record a group in chunks; its completion job cannot start before the last of them."""
        check_links(links)
        check_completion(completion)
        _expect(0 < len(links) <= MAX_GROUP, f"a group of 1 to {MAX_GROUP} jobs", len(links))
        _expect(when in get_args(When), f"when to be {' or '.join(get_args(When))}", when)
        _check_members(links)
        own_id = self._flow_id(group_id, links[0])
        jobs = self._grouped(links, own_id)
        last = None if completion is None else _completion_link(completion)
        waiting = None if last is None else self._waiting(last, own_id)
        if last is not None and waiting is not None and group_id is None and not last.job_id:
            waiting = _unnamed(waiting)
        _check_completion(last, waiting, links, jobs)
        self._check_engines([*jobs, *([waiting] if waiting else [])])
        group = GroupRecord(own_id, _sha_of([*jobs, *([waiting] if waiting else [])]), when)
        if last is not None and waiting is not None:
            field = last.result_field
            group = replace(group, completion_id=waiting.id, completion_field=field)
        self._record_group(group, waiting, jobs)
        handle = None
        if last is not None and waiting is not None:
            handle = self._handle(self._ledger.get(waiting.id), last)
        return GroupHandle(own_id, self._ledger, self._clock, completion=handle)

    def _record_group(
        self, group: GroupRecord, waiting: NewJob | None, jobs: Sequence[NewJob]
    ) -> None:
        with tracer().dispatch(jobs[0].queue, jobs[0].name) as span:
            span.note(batch_count=len(jobs), conversation_id=group.id)
            last = None if waiting is None else traced(waiting, span)
            for chunk, is_last in _chunks(jobs):
                some = [traced(job, span) for job in chunk]
                with tracer().record(self._ledger.system):
                    self._ledger.record_group(replace(group, sealed=is_last), last, some)

    def _chained(
        self, links: Sequence[AnyLink[Any]], chain_id: str, after: str | None
    ) -> list[NewJob]:
        ids = [each.job_id or f"{chain_id}-{n}" for n, each in enumerate(links)]
        twice = [each for each, count in Counter(ids).items() if count > 1]
        _expect(not twice, "jobs of a chain with ids of their own", twice)
        _expect(after not in ids, "a chain after a job that is none of its own", after)
        jobs = []
        for place, link in enumerate(links):
            follow_ups = follow_ups_of(link.job)
            if place + 1 < len(links):
                then = NextJob(ids[place + 1], links[place + 1].result_field)
                follow_ups = replace(follow_ups, then=then)
            waits_for = ids[place - 1] if place else after
            job = self._new_job(link, ids[place])
            jobs.append(replace(job, follow_ups=follow_ups.text, waits_for=waits_for))
        return jobs

    def _grouped(self, links: Sequence[AnyLink[Any]], group_id: str) -> list[NewJob]:
        jobs = []
        for place, link in enumerate(links):
            follow_ups = replace(follow_ups_of(link.job), group=group_id)
            job = self._new_job(link, member_id(group_id, place))
            # The group remembers the ids of its jobs.
            jobs.append(_unnamed(replace(job, follow_ups=follow_ups.text)))
        return jobs

    def _check_engines(self, jobs: Sequence[NewJob]) -> None:
        """Refuse engines that this program does not have."""
        for job in {job.engines: job for job in jobs}.values():
            self._route(job)

    def _waiting(self, link: AnyLink[Any], group_id: str) -> NewJob:
        job = self._new_job(link, link.job_id or f"{group_id}-completion")
        return replace(job, waits_for=group_id)

    def _new_job(self, link: AnyLink[Any], job_id: str) -> NewJob:
        # The dispatch could lead to another job, and nothing in the flow waits for that one.
        alone = link.job.identity is None
        _expect(alone, "jobs without unique, debounce or throttle", link.job.name)
        options: DispatchOptions = {"job_id": job_id}
        if link.engines is not None:
            options["engines"] = link.engines
        if link.queue is not None:
            options["queue"] = link.queue
        if link.priority is not None:
            options["priority"] = link.priority
        job = new_job(link.job, link.payload, options, self._clock)
        _check_field(link, job.payload)
        return job

    def _flow_id(self, given: str | None, first: AnyLink[Any]) -> str:
        if given is None:
            return new_job(first.job, first.payload, {}, self._clock, ids=self._ids).id
        expected = "an id of 1 to 48 letters, digits, `_` or `-`"
        Expect(OptionInvalidError).matching(expected, given, _FLOW_ID)
        return given

    def _record_chain(
        self, jobs: Sequence[NewJob], route: Route, first: AnyLink[Any]
    ) -> tuple[list[JobRecord], bool]:
        deadline = self._offerer.deadline()
        queue = profile_or_default(jobs[0].queue)
        plan = None
        if route.order and not jobs[0].limits:
            plan = OfferPlan(route.order[0], queue.pickup, route.by_rule)
        with tracer().record(self._ledger.system):
            found, created = self._ledger.record_chain(jobs, plan)
        records = list(found)
        if not created:
            _accept_existing(jobs, records)
            return records, False
        self._count(jobs)
        self._offerer.note(records[0].id, route.skipped)
        if records[0].state is JobState.OFFERED:
            with suppress(LedgerError):
                # The chain is committed; a ledger that fails now costs time only (I1).
                records[0] = self._offerer.carry(records[0], route.order[1:], queue, deadline)
        return records, created

    def _count(self, jobs: Sequence[NewJob]) -> None:
        for job in jobs:
            series = Series("dispatched", job.name, job.queue, labels="created")
            self._offerer.measures.count(series)

    def _handle(self, record: JobRecord, link: AnyLink[Any]) -> JobHandle[Any]:
        return JobHandle(record, link.job, self._ledger, self._clock)


def _id_of(after: JobHandle[Any] | str | None) -> str | None:
    job_id = after.id if isinstance(after, JobHandle) else after
    _expect(job_id is None or is_job_id(job_id), "a job id or a handle as after", after)
    return job_id


def _pairs(
    jobs: Sequence[NewJob], links: Sequence[AnyLink[Any]]
) -> Iterator[tuple[NewJob, AnyLink[Any]]]:
    return zip(jobs, links, strict=True)


def _unnamed(job: NewJob) -> NewJob:
    """Return a job whose id is not kept after it was pruned."""
    return replace(job, key_for=None)


def _completion_link(completion: Completion) -> AnyLink[Any]:
    if isinstance(completion, AnyLink):
        return completion
    kind = completion.payload_type
    _expect(
        kind is GroupResult,
        "a completion job for GroupResult, or a Link that gives its payload",
        f"{completion.name!r} for {kind.__name__}",
    )
    # What the ledger puts in its place when the group is over.
    nothing = GroupResult(group_id="", total=0, succeeded=0, failed=0, cancelled=0)
    return Link(completion, nothing, result_field=WHOLE)


def _check_members(links: Sequence[AnyLink[Any]]) -> None:
    for link in links:
        _expect(link.result_field is None, "no result_field in the jobs of a group", link.job.name)
        _expect(link.job_id is None, "no job_id in a group; give a group_id", link.job_id)


def _check_completion(
    last: AnyLink[Any] | None,
    waiting: NewJob | None,
    links: Sequence[AnyLink[Any]],
    jobs: Sequence[NewJob],
) -> None:
    """Refuse a job that would wait for its own end."""
    if last is not None and waiting is not None:
        inside = any(link is last for link in links) or waiting.id in {job.id for job in jobs}
        _expect(not inside, "a completion that is none of the group's jobs", waiting.id)


def _check_field(link: AnyLink[Any], payload: str) -> None:
    field = link.result_field
    if field is not None and field != WHOLE:
        # Of the JSON, and not of the model: that is where the ledger puts the result.
        kept = json.loads(payload)
        known = isinstance(kept, dict) and field in kept
        _expect(known, f"a field of {type(link.payload).__name__} as result_field", field)
    limits = [each for each in (link.job.concurrency, link.job.rate_limit) if each is not None]
    chosen = {name for each in limits for name in each.by}
    # Their keys are made now, and the ledger puts the result there later.
    unknown = bool(chosen) if field == WHOLE else field in chosen
    _expect(not unknown, "limits by other fields than the result_field", field)


def _chunks(jobs: Sequence[NewJob]) -> Iterator[tuple[Sequence[NewJob], bool]]:
    for begin in range(0, len(jobs), CHUNK):
        yield jobs[begin : begin + CHUNK], begin + CHUNK >= len(jobs)


def _sha_of(jobs: Sequence[NewJob]) -> str:
    names = [[job.id, job.name, job.payload_sha] for job in jobs]
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def _accept_existing(jobs: Sequence[NewJob], records: Sequence[JobRecord]) -> None:
    if not all(_is_same(*pair) for pair in zip(jobs, records, strict=True)):
        raise IdempotencyConflictError(
            f"expected the jobs that the chain of {jobs[0].id} was dispatched with, got others; "
            "use another chain_id for other work"
        )


def _is_same(job: NewJob, record: JobRecord) -> bool:
    same = (job.name, job.payload_sha) == (record.name, record.payload_sha)
    return same and (record.is_pruned or _then(job) == _then(record))


def _then(job: NewJob | JobRecord) -> NextJob | None:
    return None if job.follow_ups is None else follow_ups_from(job.follow_ups).then
