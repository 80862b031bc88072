"""`ShardedDispatcher`: one dispatcher over several ledgers, each of which is whole by itself."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar, Unpack

from pydantic import BaseModel

from failsoft.dispatcher.control import ACTOR
from failsoft.dispatcher.dispatcher import Dispatcher
from failsoft.dispatcher.dispatching.bulk import MANY, DispatchOutcome, DispatchRequest, Many
from failsoft.dispatcher.dispatching.flow import Completion
from failsoft.dispatcher.handles.flow import ChainHandle, GroupHandle
from failsoft.dispatcher.handles.job import JobHandle
from failsoft.dispatcher.handles.retry import RetryReport
from failsoft.dispatcher.options.checks import check_job, check_links
from failsoft.dispatcher.options.options import DispatchOptions
from failsoft.dispatcher.options.shards import (
    choose,
    expect_named,
    expect_shard,
    expect_within,
)
from failsoft.dispatcher.schedules import Schedules
from failsoft.job_engine.awaiting import in_thread
from failsoft.job_engine.definitions.definition import JobDefinition
from failsoft.job_engine.definitions.links import AnyLink, Link
from failsoft.job_engine.errors import (
    JobNotFoundError,
    LedgerUnavailableError,
    OptionInvalidError,
)
from failsoft.job_engine.records.groups import When
from failsoft.job_engine.records.job import CancelOutcome, JobRecord
from failsoft.job_engine.records.manual_retry import MOST
from failsoft.job_engine.records.pauses import Pausable, Pause

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")


class ShardedDispatcher(Dispatcher):
    """Dispatches each job to the ledger of its `shard`, and finds the ledger of a job.

    A ledger is opened when it is first used, so that one which is away keeps no shard of another
    from being dispatched. What would hold among the jobs of one ledger only is refused before
    anything is stored; see docs/how-to/scale.md.

    Attributes:
        ledgers: The names of the ledgers.
    """

    def __init__(self, ledgers: Sequence[str], open_ledger: Callable[[str], Dispatcher]) -> None:
        """Open nothing yet.

        Args:
            ledgers: The names of the ledgers, in any order.
            open_ledger: Returns the dispatcher of one.
        """
        self.ledgers: tuple[str, ...] = tuple(ledgers)
        self._open = open_ledger
        self._opened: dict[str, Dispatcher] = {}
        self._locks = {name: threading.Lock() for name in ledgers}

    def ledger(self, name: str) -> Dispatcher:
        """Return the dispatcher of one ledger, for what is done with all of its jobs.

        Raises:
            OptionInvalidError: There is none of that name.
            LedgerUnavailableError: It does not answer.
        """
        if name not in self._locks:
            raise OptionInvalidError(
                f"expected one of the ledgers {', '.join(self.ledgers)}, got {name}"
            )
        with self._locks[name]:
            if name not in self._opened:
                self._opened[name] = self._open(name)
            return self._opened[name]

    def of_shard(self, shard: str | None) -> Dispatcher:
        """Return the dispatcher of the ledger that a shard's jobs are in.

        Raises:
            OptionInvalidError: There is no shard.
            LedgerUnavailableError: The ledger does not answer.
        """
        return self.ledger(choose(self.ledgers, expect_shard(shard)))

    def dispatch(
        self, job: JobDefinition[P, R], payload: P, **options: Unpack[DispatchOptions]
    ) -> JobHandle[R]:
        """Dispatch to the ledger of the option `shard`, as `Dispatcher.dispatch` does.

        Raises:
            DispatchError: There is no shard, or a key or a limit that is not within one.
            LedgerUnavailableError: Its ledger did not answer; the job may not have been stored.
        """
        shard = _expect_all(job, payload, options)
        return self.of_shard(shard).dispatch(job, payload, **options)

    async def dispatch_async(
        self, job: JobDefinition[P, R], payload: P, **options: Unpack[DispatchOptions]
    ) -> JobHandle[R]:
        """Do as `dispatch`, without blocking the event loop."""
        shard = _expect_all(job, payload, options)
        dispatcher = await in_thread(lambda: self.of_shard(shard))
        return await dispatcher.dispatch_async(job, payload, **options)

    def expect_session(self, session: object, *, shard: str | None = None) -> None:
        """Do as `Dispatcher.expect_session`, for the ledger of a shard."""
        self.of_shard(shard).expect_session(session, shard=shard)

    def has_workers(self, queue: str) -> bool:
        """Return whether live workers serve a queue of every ledger."""
        return all(self.ledger(name).has_workers(queue) for name in self.ledgers)

    def dispatch_many(
        self,
        job: JobDefinition[P, R],
        items: Iterable[P | DispatchRequest[P]],
        *,
        how: Many = MANY,
        **options: Unpack[DispatchOptions],
    ) -> list[DispatchOutcome[R]]:
        """Dispatch many jobs of one shard, as `Dispatcher.dispatch_many` does.

        Raises:
            DispatchError: They are of several shards, or an item is not within its own; nothing
                was stored.
        """
        given = list(items)
        shards = {_expect_all(job, *_item(each, options)) for each in given}
        if not shards:
            shards = {expect_shard(options.get("shard"))}
        if len(shards) > 1:
            raise OptionInvalidError(
                f"dispatch_many: expected items of one shard, got {len(shards)} of them: a "
                "transaction is one ledger's; call it once for each shard"
            )
        return self.of_shard(shards.pop()).dispatch_many(job, given, how=how, **options)

    def dispatch_chain(
        self,
        *links: *tuple[*tuple[AnyLink[Any], ...], AnyLink[R]],
        chain_id: str | None = None,
        after: JobHandle[Any] | str | None = None,
        shard: str | None = None,
    ) -> ChainHandle[R]:
        """Record a chain in the ledger of a shard, as `Dispatcher.dispatch_chain` does.

        Raises:
            DispatchError: There is no shard, or a job is not within it; nothing was stored.
            JobNotFoundError: The ledger of the shard has no job of the id `after`.
        """
        _expect_links(expect_shard(shard), links, chain_id=chain_id)
        return self.of_shard(shard).dispatch_chain(*links, chain_id=chain_id, after=after)

    def dispatch_group(
        self,
        links: Sequence[AnyLink[Any]],
        completion: Completion | None = None,
        *,
        when: When = "all_ended",
        group_id: str | None = None,
        shard: str | None = None,
    ) -> GroupHandle:
        """Record a group in the ledger of a shard, as `Dispatcher.dispatch_group` does.

        Raises:
            DispatchError: There is no shard, or a job is not within it; nothing was stored.
        """
        last = [completion] if isinstance(completion, Link) else []
        check_links(links)
        _expect_links(expect_shard(shard), [*links, *last], group_id=group_id)
        dispatcher = self.of_shard(shard)
        return dispatcher.dispatch_group(links, completion, when=when, group_id=group_id)

    def send_event(
        self,
        name: str,
        payload: object = None,
        *,
        to: "JobHandle[Any] | str | None" = None,
        key: str | None = None,
        event_id: str | None = None,
        keep: timedelta | None = None,
        shard: str | None = None,
    ) -> int:
        """Send an event to a job in whichever ledger it is, or by a key in the one of `shard`.

        Raises:
            DispatchError: Something is wrong, or an event by a key has no shard.
            JobNotFoundError: No ledger holds the job.
        """
        if to is not None:
            dispatcher = self._holding(to.id if isinstance(to, JobHandle) else to)
        else:
            dispatcher = self.of_shard(shard)
        return dispatcher.send_event(name, payload, to=to, key=key, event_id=event_id, keep=keep)

    def schedules(self) -> Schedules:
        """Refuse: each ledger has its own, `ledger(name).schedules()`.

        Raises:
            OptionInvalidError: Always.
        """
        raise OptionInvalidError(
            "expected the schedules of one ledger, got those of several; call "
            f"ledger(name).schedules(), with one of {', '.join(self.ledgers)}"
        )

    def handle(self, job: JobDefinition[P, R], job_id: str) -> JobHandle[R]:
        """Return the handle of a job, in whichever ledger it is.

        Raises:
            JobNotFoundError: No ledger holds it, or it is another definition's.
            LedgerUnavailableError: It may be in a ledger that does not answer.
        """
        check_job(job)
        return self._holding(job_id).handle(job, job_id)

    def retry(
        self,
        job_id: str,
        *,
        payload: BaseModel | None = None,
        from_step: str | None = None,
        reason: str = "",
        actor: str = ACTOR,
    ) -> JobRecord:
        """Do an ended job's work again, in the ledger that it is in."""
        return self._holding(job_id).retry(
            job_id, payload=payload, from_step=from_step, reason=reason, actor=actor
        )

    def cancel(self, job_id: str, *, actor: str = ACTOR) -> CancelOutcome:
        """Cancel a job, in the ledger that it is in."""
        return self._holding(job_id).cancel(job_id, actor=actor)

    def resume(self, job_id: str, *, reason: str = "", actor: str = ACTOR) -> JobRecord:
        """Let a held job go on, in the ledger that it is in."""
        return self._holding(job_id).resume(job_id, reason=reason, actor=actor)

    def abandon(self, job_id: str, *, reason: str = "", actor: str = ACTOR) -> JobRecord:
        """Let a held job fail, in the ledger that it is in."""
        return self._holding(job_id).abandon(job_id, reason=reason, actor=actor)

    def retry_many(
        self,
        *,
        name: str | None = None,
        queue: str | None = None,
        since: timedelta | None = None,
        limit: int = MOST,
        reason: str = "",
        actor: str = ACTOR,
    ) -> RetryReport:
        """Try failed jobs again, ledger by ledger; see `Dispatcher.retry_many`."""
        report, left = RetryReport((), ()), limit
        for each in self._all():
            if left <= 0:
                break
            found = each.retry_many(
                name=name, queue=queue, since=since, limit=left, reason=reason, actor=actor
            )
            left -= len(found.retried) + len(found.skipped) + len(found.refused)
            report = RetryReport(
                report.retried + found.retried,
                report.skipped + found.skipped,
                report.refused + found.refused,
            )
        return report

    def pause(self, kind: Pausable, name: str, *, reason: str = "", actor: str = ACTOR) -> Pause:
        """Let no job of a queue, or of a definition, begin in any ledger.

        A ledger that does not answer raises, and those before it are paused; to pause them again
        changes nothing.
        """
        held = [each.pause(kind, name, reason=reason, actor=actor) for each in self._all()]
        return held[0]

    def unpause(self, kind: Pausable, name: str) -> bool:
        """Let them begin again in every ledger; return whether any was paused."""
        ended = [each.unpause(kind, name) for each in self._all()]
        return any(ended)

    def flush(self) -> None:
        """Write what is still to be written of the tries, to every ledger that was used."""
        for each in list(self._opened.values()):
            each.flush()

    def close(self) -> None:
        """Close the dispatcher of every ledger that was used."""
        for each in list(self._opened.values()):
            each.close()

    def _all(self) -> Iterator[Dispatcher]:
        return map(self.ledger, self.ledgers)

    def _holding(self, job_id: str) -> Dispatcher:
        away: LedgerUnavailableError | None = None
        for name in self.ledgers:
            try:
                dispatcher = self.ledger(name)
                if dispatcher.holds(job_id):
                    return dispatcher
            except LedgerUnavailableError as error:
                away = error
        if away is not None:
            raise away
        raise JobNotFoundError(
            f"expected the id of a job in one of the ledgers {', '.join(self.ledgers)}, got "
            f"{job_id!r}"
        )


def _expect_all(job: JobDefinition[Any, Any], payload: Any, options: DispatchOptions) -> str:
    check_job(job)
    shard = expect_shard(options.get("shard"))
    expect_within(shard, job, payload, options)
    return shard


def _item(item: Any, shared: DispatchOptions) -> tuple[Any, DispatchOptions]:
    if not isinstance(item, DispatchRequest):
        return item, shared
    merged = DispatchOptions(**shared)
    merged.update(item.options)
    return item.payload, merged


def _expect_links(shard: str, links: Sequence[AnyLink[Any]], **ids: str | None) -> None:
    check_links(links)
    for option, value in ids.items():
        expect_named(shard, option, value)
    for link in links:
        options = DispatchOptions() if link.job_id is None else DispatchOptions(job_id=link.job_id)
        expect_within(shard, link.job, link.payload, options)
