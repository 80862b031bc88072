"""Moving what waits at the broker of a plain queue: each message becomes one job, however often.

A message is taken out of its queue first, so that no worker of the old engine runs it as well; it
is kept at its broker until its job is recorded, so that a drain which is cut off loses nothing. The
next drain begins with what was taken, and the idempotency key of a message leads to the job that is
there.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any, Protocol, TypeVar

from failsoft.api import (
    ChainHandle,
    DispatchError,
    DispatchOptions,
    EngineUnavailableError,
    JobDefinition,
    LedgerError,
    default_dispatcher,
)
from failsoft.dispatcher.dispatching.bulk import DispatchRequest
from failsoft.job_engine.definitions.links import Link

#: How many messages are taken, and their jobs recorded, at a time.
CHUNK = 100
#: How long it is remembered which messages were moved.
REMEMBERED = timedelta(days=365)
#: How many refusals a report has of each kind of reason; of all of them it has the number.
MAX_SHOWN = 1000

AnyLink = Link[Any, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pending:
    """A message that waits at a broker.

    Attributes:
        id: Its id there.
        links: The job that it becomes; several where it is the first of a chain.
        options: The options of its dispatch, if it is one job.
        refusal: Why it cannot be moved; it has no links then.
        handle: What its source knows it by.
    """

    id: str
    links: Sequence[AnyLink] = ()
    options: DispatchOptions = field(default_factory=DispatchOptions)
    refusal: str | None = None
    handle: Any = None


class Source(Protocol):
    """The broker of a plain queue.

    Every method raises `EngineUnavailableError` if it does not answer.
    """

    def left(self) -> Iterable[Pending]:
        """Return what a drain before took and did not finish."""
        ...

    def pending(self) -> Iterable[Pending]:
        """Return what waits; nothing is lost of it if the program ends now."""
        ...

    def is_there(self, pending: Pending) -> bool:
        """Return whether a message still waits: a worker or another drain may have taken it."""
        ...

    def take(self, pending: Sequence[Pending]) -> Sequence[bool]:
        """Take messages, so that no worker has them; return of each whether it still waited."""
        ...

    def finish(self, done: Sequence[Pending]) -> None:
        """Delete messages that were taken: their jobs are recorded."""
        ...

    def give_back(self, pending: Pending) -> bool:
        """Put a message that was taken back; False if another drain has done with it meanwhile."""
        ...

    def close(self) -> None:
        """Disconnect; whatever was looked at and not taken is in its queue again."""
        ...


@dataclass(slots=True)
class Drained:
    """What became of the messages of a queue.

    Attributes:
        moved: How many became jobs; in a dry run, how many would.
        existing: How many had become jobs in a drain before.
        gone: How many a worker of the old engine, or another drain, took meanwhile.
        refused: Why others stay where they are, by their ids.
        refused_count: How many those are; `refused` has the first thousand.
    """

    moved: int = 0
    existing: int = 0
    gone: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    refused_count: int = 0

    def refuse(self, message_id: str, reason: str) -> None:
        """Note a message that stays where it is."""
        self.refused_count += 1
        if len(self.refused) < MAX_SHOWN:
            self.refused[message_id] = reason


def drain_from(source: Source, *, dry_run: bool) -> Drained:
    """Move what waits at a broker.

    Args:
        source: The broker.
        dry_run: Whether only to say what would become of it.

    Raises:
        EngineUnavailableError: The broker did not answer; another drain goes on.
        LedgerUnavailableError: The ledger did not answer; another drain goes on.
    """
    drained = Drained()
    try:
        if dry_run:
            _look(source, drained)
        else:
            # What was taken before has no worker but this drain.
            for chunk in chunks(source.left()):
                _move(source, [each for each in chunk if _is_fit(source, each, drained)], drained)
            for chunk in chunks(source.pending()):
                _move(source, _taken(source, chunk, drained), drained)
    except EngineUnavailableError as error:
        raise EngineUnavailableError(
            f"{error}; {drained.moved} were moved, run the command again when it answers"
        ) from error
    finally:
        source.close()
    return drained


def _look(source: Source, drained: Drained) -> None:
    for each in (*source.left(), *source.pending()):
        if each.refusal is None:
            drained.moved += 1
        else:
            drained.refuse(each.id, each.refusal)


def _is_fit(source: Source, pending: Pending, drained: Drained) -> bool:
    if pending.refusal is not None:
        _give_back(source, pending, pending.refusal, drained)
    return pending.refusal is None


def _give_back(source: Source, pending: Pending, reason: str, drained: Drained) -> None:
    if source.give_back(pending):
        drained.refuse(pending.id, reason)
    else:
        drained.gone += 1


def _taken(source: Source, chunk: Sequence[Pending], drained: Drained) -> list[Pending]:
    fit = [each for each in chunk if each.refusal is None]
    for each in chunk:
        if each.refusal is None:
            continue
        # What cannot be read may be what another drain has finished since.
        if source.is_there(each):
            drained.refuse(each.id, each.refusal)
        else:
            drained.gone += 1
    is_ours = source.take(fit) if fit else ()
    drained.gone += len(fit) - sum(is_ours)
    return [each for each, ours in zip(fit, is_ours, strict=True) if ours]


def _move(source: Source, taken: Sequence[Pending], drained: Drained) -> None:
    done: list[tuple[Pending, bool]] = []
    for each, result in _dispatched(taken):
        if isinstance(result, DispatchError):
            _give_back(source, each, str(result), drained)
        else:
            done.append((each, result))
    if done:
        source.finish([each for each, _ in done])
    drained.moved += sum(is_new for _, is_new in done)
    drained.existing += sum(not is_new for _, is_new in done)


def _dispatched(taken: Sequence[Pending]) -> Iterator[tuple[Pending, bool | DispatchError]]:
    """Dispatch messages; yield each with whether its job is new, or with why it was refused."""
    groups: dict[tuple[str, object], list[Pending]] = {}
    for each in taken:
        if len(each.links) > 1:
            yield each, _chain(each)
            continue
        only = each.links[0].job
        groups.setdefault((only.name, only.on_failure), []).append(each)
    for group in groups.values():
        requests = [DispatchRequest(each.links[0].payload, _options(each)) for each in group]
        job: JobDefinition[Any, Any] = group[0].links[0].job
        outcomes = default_dispatcher().dispatch_many(job, requests)
        for each, outcome in zip(group, outcomes, strict=True):
            if outcome.handle is not None:
                yield each, outcome.handle.created
            elif isinstance(outcome.error, DispatchError):
                yield each, outcome.error
            else:
                raise outcome.error or LedgerError()


def _options(pending: Pending) -> DispatchOptions:
    link = pending.links[0]
    options: DispatchOptions = {
        **pending.options,
        "idempotency_key": _key(pending),
        "idempotency_for": REMEMBERED,
    }
    if link.queue is not None:
        options["queue"] = link.queue
    if link.priority is not None:
        options["priority"] = link.priority
    return options


def _chain(pending: Pending) -> bool | DispatchError:
    try:
        handle: ChainHandle[Any] = default_dispatcher().dispatch_chain(
            *pending.links[:-1], pending.links[-1], chain_id=_key(pending)
        )
    except DispatchError as error:
        return error
    return handle.created


def _key(pending: Pending) -> str:
    return f"adopt-{pending.id}"


def chunks(pending: Iterable[T]) -> Iterator[list[T]]:
    """Yield what there is, as many at a time as one transaction of the ledger records."""
    rest = iter(pending)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
