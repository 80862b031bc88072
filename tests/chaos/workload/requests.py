"""What the dispatchers request, and how: one job, many at once, chains and groups."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from failsoft.dispatcher import Dispatcher, DispatchOptions, DispatchRequest, JobHandle
from failsoft.job_engine import JobDefinition, Link
from failsoft.job_engine.errors import FailsoftError, LedgerError
from failsoft.job_engine.records.groups import When
from tests.chaos.workload.app_transactions import ordering
from tests.chaos.workload.operations import DISPATCH
from tests.chaos.workload.script import Script

Definition = JobDefinition[Script, int]
#: A handle, or why there is none.
Answer = JobHandle[int] | FailsoftError


@dataclass(frozen=True)
class Later:
    """What a dispatcher does with a job that it has requested, each after so many seconds.

    Attributes:
        cancel: When it is cancelled again; None: never.
        read: When its state is read.
        sends: When it is sent an event.
    """

    cancel: float | None = None
    read: float | None = None
    sends: tuple[float, ...] = ()


class Request(Protocol):
    """Requests the jobs of some scripts; `later` is what follows for the first of them."""

    @property
    def scripts(self) -> Sequence[Script]:
        """Return the scripts of the jobs, in the order of the answers."""
        ...

    @property
    def kind(self) -> str:
        """Return the kind of the operations that it is noted as."""
        ...

    @property
    def later(self) -> Later:
        """Return what is done then."""
        ...

    def send(self, dispatcher: Dispatcher) -> Sequence[Answer]:
        """Dispatch the jobs; raise where none of them is there."""
        ...


@dataclass(frozen=True)
class Single:
    """Requests one job."""

    job: Definition
    script: Script
    options: DispatchOptions = field(default_factory=DispatchOptions)
    later: Later = Later()
    kind: str = DISPATCH

    @property
    def scripts(self) -> Sequence[Script]:
        return [self.script]

    def send(self, dispatcher: Dispatcher) -> Sequence[Answer]:
        return [dispatcher.dispatch(self.job, self.script, **self.options)]


@dataclass(frozen=True)
class Within:
    """Requests one job in a transaction of the app's own, which writes an order, too."""

    job: Definition
    script: Script
    later: Later = Later()
    kind: str = DISPATCH

    @property
    def scripts(self) -> Sequence[Script]:
        return [self.script]

    def send(self, dispatcher: Dispatcher) -> Sequence[Answer]:
        try:
            with ordering(self.script.label) as connection:
                handle = dispatcher.dispatch(self.job, self.script, session=connection)
        except SQLAlchemyError as error:
            # The app's own statement, or its commit: it is unknown whether it was made.
            return [LedgerError(type(error).__name__)]
        return [handle]


@dataclass(frozen=True)
class Many:
    """Requests many jobs at once, each with options of its own."""

    job: Definition
    requests: Sequence[DispatchRequest[Script]]
    later: Later = Later()
    kind: str = DISPATCH

    @property
    def scripts(self) -> Sequence[Script]:
        return [each.payload for each in self.requests]

    def send(self, dispatcher: Dispatcher) -> Sequence[Answer]:
        outcomes = dispatcher.dispatch_many(self.job, self.requests)
        answers = (each.handle or each.error for each in outcomes)
        return [each for each in answers if each is not None]


@dataclass(frozen=True)
class Chain:
    """Requests jobs that run one after the other."""

    links: Sequence[Link[Script, int]]
    later: Later = Later()
    kind: str = DISPATCH

    @property
    def scripts(self) -> Sequence[Script]:
        return [each.payload for each in self.links]

    def send(self, dispatcher: Dispatcher) -> Sequence[Answer]:
        *before, last = self.links
        return dispatcher.dispatch_chain(*before, last).jobs


@dataclass(frozen=True)
class Group:
    """Requests jobs side by side, and one that completes them."""

    links: Sequence[Link[Script, int]]
    completion: Link[Script, int]
    when: When
    later: Later = Later()
    kind: str = DISPATCH

    @property
    def scripts(self) -> Sequence[Script]:
        return [each.payload for each in (*self.links, self.completion)]

    def send(self, dispatcher: Dispatcher) -> Sequence[Answer]:
        own_id = self.completion.payload.flow
        group = dispatcher.dispatch_group(
            self.links, self.completion, when=self.when, group_id=own_id
        )
        assert group.completion is not None
        pairs = zip(group.job_ids, self.links, strict=True)
        return [*(dispatcher.handle(each.job, job_id) for job_id, each in pairs), group.completion]
