"""What an engine is plugged in by: one object with a half that offers and a half that works.

A distribution names such an object as an entry point of the group `failsoft.engines`. Nothing
else of Failsoft names the engine: the settings, the command line, `doctor`, `dev` and the worker
process use the plug-in.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel

from failsoft.dispatcher.offering.engines import Engine
from failsoft.dispatcher.plugins.bridge import BridgePost, EngineBridge
from failsoft.job_engine.clock import Clock
from failsoft.job_engine.errors import MessageRejectedError
from failsoft.job_engine.policies.queue import QueueProfile, queue_name
from failsoft.job_engine.ports.offered import OfferWatch
from failsoft.job_engine.records.message import Message
from failsoft.job_engine.values.findings import Check, Finding

S = TypeVar("S", bound=BaseModel)


class WaitingOffers(Protocol):
    """The offers of an engine that wait in the ledger, for an engine that has no broker.

    Each is committed there before the engine is offered it. Raises, from every method but `watch`:
    `LedgerError` where the ledger does not answer, or refuses.
    """

    def take(self, engine: str, queue: str, limit: int) -> Sequence[Message]:
        """Return the offers that are to be processed first, signed; they stay where they are.

        No other worker is given them for a moment, in which each should be claimed.
        """
        ...

    def holds(self, engine: str, queue: str, message: Message) -> bool:
        """Return whether an offer waits for its claim."""
        ...

    def count(self, engine: str, queue: str) -> int:
        """Return how many wait, up to a number beyond which they are not counted."""
        ...

    def expect_writable(self, within: timedelta) -> None:
        """Make a write that changes nothing, as an offer would be committed."""
        ...

    def wake(self, engine: str, queue: str, within: timedelta) -> None:
        """Let the workers that wait look now, where the ledger's database can."""
        ...

    def watch(self, engine: str, queue: str) -> OfferWatch:
        """Return what a worker of a queue waits with; opens no connection yet."""
        ...


@dataclass(frozen=True, slots=True)
class EngineSite(Generic[S]):
    """One engine as the operator configured it.

    Attributes:
        name: What the operator calls it: its kind, or the alias in `FAILSOFT_ENGINES=eu=rq`.
            Messages are signed for this name, and the ledger stores it.
        settings: What was read of its variables.
        namespace: Prefixed to every name on the broker.
        offers: Its offers in the ledger.
        variables: The variable that a message names for each of the settings.
        answer_within: How long what `checks` looks at may wait for one answer of the server.
    """

    name: str
    settings: S
    namespace: str
    offers: WaitingOffers
    variables: Mapping[str, str]
    answer_within: timedelta = timedelta(seconds=1)

    def queue_name(self, queue: QueueProfile) -> str:
        """Return the name of a queue on the broker."""
        return queue_name(queue, self.namespace)


class Process(Protocol):
    """What an engine's worker calls with a message; returns when the attempt has ended."""

    def __call__(self, wire: object, claimed: Callable[[], object] = ...) -> None:
        """Process a message; raises nothing.

        Args:
            wire: The message as it was offered, decoded from JSON.
            claimed: Called in this thread as soon as the ledger has decided about the message:
                the engine may acknowledge it then. Not called when the worker stops before;
                then the message must stay with the engine.
        """
        ...


class Delivery(NamedTuple):
    """One of the messages that `Begin` gets.

    Attributes:
        wire: The message, as `Process` gets it.
        claimed: Called as that of `Process` is.
        left_code: Called, in the thread that runs the attempt, when the job's code is over and its
            end is still to be recorded: another message may take its slot then. Not called where
            that must wait for the record, as for a job under a limit.
    """

    wire: object
    claimed: Callable[[], object]
    left_code: Callable[[], object] | None = None


class Begin(Protocol):
    """What a worker calls with several messages at once: a commit for all their claims."""

    def __call__(self, deliveries: Sequence[Delivery]) -> Sequence[Callable[[], None]]:
        """Claim what the messages lead to; waits for no ledger that is away, and raises nothing.

        Returns:
            What runs each of them in a slot, as `Process` would; to be called once each, soon and
            even when the worker stops: a claim that is made is given back by it.
        """
        ...


@dataclass(frozen=True, slots=True)
class WorkerPost:
    """The place of one worker process: what it serves, and what it calls.

    Attributes:
        queue: The queue to serve.
        slots: How many attempts run side by side.
        boot_id: What the process is known by.
        grace: How long attempts that run may take once the process stops.
        clock: Where time comes from.
        process: What gets each message.
        reject: What is called with each message that is not ours.
        stop_job: What cancels a job by its id, where the engine has a command of its own for it.
        begin: What gets several messages at once; where it is None, `process` gets each.
    """

    queue: QueueProfile
    slots: int
    boot_id: str
    grace: timedelta
    clock: Clock
    process: Process
    reject: Callable[[MessageRejectedError], None]
    stop_job: Callable[[str], None]
    begin: Begin | None = None


class EngineWorker(Protocol):
    """Takes messages from an engine and hands them to the post's `process`."""

    def run(self, stopping: threading.Event) -> None:
        """Work until `stopping` is set; then take no more and wait for what runs.

        Raises:
            FailsoftError: If it cannot go on; the supervisor starts another.
        """
        ...

    def is_serving(self) -> bool:
        """Return whether it would take a message that arrived now.

        Called from another thread, every two seconds; must return at once. While it is false the
        process sends no heartbeat, and the queue's jobs go to other engines.
        """
        ...


class EmbeddedServer(Protocol):
    """A broker that `failsoft dev` and the testing kit start for themselves."""

    def start(self) -> None:
        """Start it; return when it answers.

        Raises:
            FailsoftError: It is not installed, or did not start; the message says what to do.
        """
        ...

    def stop(self) -> None:
        """Stop it."""
        ...

    @property
    def url(self) -> str:
        """Its address, as the engine's setting has it."""
        ...


@runtime_checkable
class KillableServer(EmbeddedServer, Protocol):
    """A server that can be ended as by a crash, and started again where it was."""

    @property
    def is_running(self) -> bool:
        """Whether its process runs, or is stopped by SIGSTOP."""
        ...

    def kill(self) -> None:
        """End it by SIGKILL."""
        ...


@runtime_checkable
class FreezableServer(KillableServer, Protocol):
    """A server that is a process, which can be stopped and go on."""

    @property
    def pid(self) -> int | None:
        """Its process id; None where it does not run."""
        ...


@dataclass(frozen=True, slots=True)
class Supported:
    """The versions of a library that are supported.

    Attributes:
        name: The library.
        first: The first version, as `(major, minor, ...)`.
        before: The first major version that is too new; None where there is no such limit.
    """

    name: str
    first: tuple[int, ...]
    before: int | None = None

    def includes(self, found: str) -> bool:
        """Return whether a version is among them."""
        numbers = tuple(int(part) for part in found.split(".")[:3] if part.isdigit())
        return numbers >= self.first and (self.before is None or numbers[0] < self.before)

    def __str__(self) -> str:
        least = f"{self.name}>={'.'.join(map(str, self.first))}"
        return least if self.before is None else f"{least},<{self.before}"


class EnginePlugin(ABC, Generic[S]):
    """An engine: both halves, its settings, and what people are shown of it.

    Attributes:
        kind: What the engine is called where it has no alias, as in `FAILSOFT_ENGINES=kafka`.
        title: The engine and its server in a few words, for `failsoft worker --help`.
        settings: The model of its settings. Field `servers` of the engine `kafka` is read from
            `FAILSOFT_KAFKA_SERVERS`, of an alias `eu` from `FAILSOFT_EU_SERVERS`.
        generic: Other variables that a field is read from where the engine has no alias, stronger
            than its own, the strongest first: `{"redis_url": ("REDIS_URL",)}`.
        libraries: The versions of client libraries that it works with.
        loggers: The loggers of those, each with the least level that is logged: an engine's own
            view of a job is not the ledger's.
        said_by_link: How messages of those begin that only repeat what `Link` says.
        is_for_tests: Whether it may stand in no operator's settings.
        has_bridge: Whether `failsoft worker ENGINE` starts a bridge, too.
        is_embedded_in_memory: Whether the server of `embedded` loses its messages in a crash.
    """

    kind: ClassVar[str]
    title: ClassVar[str] = ""
    settings: type[S]
    generic: ClassVar[Mapping[str, Sequence[str]]] = {}
    libraries: ClassVar[Sequence[Supported]] = ()
    loggers: ClassVar[Mapping[str, int]] = {}
    said_by_link: ClassVar[Sequence[str]] = ()
    is_for_tests: ClassVar[bool] = False
    has_bridge: ClassVar[bool] = False
    is_embedded_in_memory: ClassVar[bool] = False

    @abstractmethod
    def build(self, site: EngineSite[S]) -> Engine:
        """Return the half that offers; opens no connection."""

    @abstractmethod
    def build_worker(self, site: EngineSite[S], post: WorkerPost) -> EngineWorker:
        """Return the half that works; may look at the server.

        Raises:
            ConfigurationError: The server is one that the engine cannot work with.
        """

    def build_bridge(self, site: EngineSite[S], post: BridgePost) -> EngineBridge:
        """Return what consumes others' records and publishes the outbox, where `has_bridge` is set.

        Raises:
            DefinitionError: What the program declares does not fit together.
        """
        raise NotImplementedError(f"engine {site.name} has no bridge")

    def checks(self, site: EngineSite[S]) -> Iterable[Check]:
        """Return what `doctor` looks at; where there is none, it probes the default queue."""
        return ()

    def prepare(self, site: EngineSite[S], queues: Sequence[QueueProfile]) -> Iterable[Finding]:
        """Create on the server what the queues need and offers do not create; say what is there.

        For `failsoft engines prepare`: topics and streams, whose number of replicas is decided
        once.

        Raises:
            EngineError: It was not created.
        """
        return ()

    def server(self, site: EngineSite[S]) -> Hashable:
        """Return what distinguishes the engine's server, for a warning where two share one.

        None where that is not known.
        """
        return None

    def address(self, settings: S) -> tuple[str, str | None] | None:
        """Return the setting that leads to the server, and its value if the operator gave one.

        None for an engine without a server.
        """
        return None

    def release(self) -> None:
        """Close the connections of this process that its engines share; each may be used again."""

    def embedded(self, folder: Path, url: str | None) -> EmbeddedServer | None:
        """Return a server for `failsoft dev`; None if there is none.

        Args:
            folder: Where its data go.
            url: Its address in the last run, to be kept where that can be.
        """
        return None


AnyPlugin = EnginePlugin[Any]
AnySite = EngineSite[Any]
