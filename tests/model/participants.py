"""Who takes part in the model and what each remembers.

Every value is made once and compared by identity, which is what makes the search fast enough for
`make test`. No number that only grows is kept: of `revision` it matters only whether it is still as
it was seen, of a claim id only whether the row still holds it.
"""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar, NamedTuple, TypeVar

from failsoft.job_engine.records.states import JobState

#: Where a worker is.
IDLE, READING, ASKING, READY, VOUCHED, BODY, STOPPING, HOLDING = (
    "idle",
    "reading",  # M2 only: it has read that it may claim, and has not written yet
    "asking",  # its claim is committed or not: the reply was lost
    "ready",  # about to begin a step, or to finish
    "vouched",  # M11 only: about to begin a step without asking
    "body",  # in the job's own code
    "stopping",
    "holding",
)
#: Where a carrier (dispatcher, rescuer, stager) is, besides idle.
SEEN, CARRYING, MARKING = "seen", "carrying", "marking"

#: Whether a worker's claim id is the row's, and whether it came by it as the protocol has it.
LOST, FORGED, RIGHTFUL = range(3)


@dataclass(frozen=True, eq=False, slots=True)
class Row:
    """The job's row; `queue`, `claim_id` and `revision` stand for what the row has now."""

    state: JobState
    epoch: int
    engine: int
    cancel_requested: bool
    errors: int
    crashes: int
    releases: int
    memos: int
    intent: int
    queue: ClassVar[int] = 0
    claim_id: ClassVar[int] = 0
    revision: ClassVar[int] = 0


@dataclass(frozen=True, eq=False, slots=True)
class Worker:
    """A place where one attempt at a time runs.

    Attributes:
        step: The step it is at.
        memos: The steps it knew as recorded when it claimed; used by M4 only.
    """

    pc: str
    step: int
    epoch: int
    engine: int
    authority: int
    memos: int
    serial: int


@dataclass(frozen=True, eq=False, slots=True)
class Carrier:
    """A process that makes offers.

    Attributes:
        saw: The state it saw the row in.
        message: The message it has to send.
        fresh: Whether the row is still as it was seen.
    """

    pc: str
    saw: JobState
    message: "Message | None"
    fresh: bool
    serial: int


@dataclass(frozen=True, eq=False, slots=True)
class Message:
    """What travels through an engine."""

    epoch: int
    engine: int
    bit: int


Member = TypeVar("Member", Worker, Carrier)


#: No engine is away.
NO_ENGINE = -1


@dataclass(frozen=True, eq=False, slots=True)
class Lead:
    """What a route and the engines are like now; both change at any time (rules 23 and 24).

    Attributes:
        engine: The engine that the weights lead the job to.
        away: The engine that takes no offers; the other one does.
    """

    engine: int
    away: int


class State(NamedTuple):
    """The ledger, every message ever sent, and every process.

    Attributes:
        sent: A bit for each message that some engine may hold.
        claimed: A bit for each epoch that was claimed; for watching only.
        begun: Whether the `once` step has begun; for watching only.
    """

    row: Row
    sent: int
    claimed: int
    begun: bool
    dispatcher: Carrier
    carriers: tuple[Carrier, ...]
    workers: tuple[Worker, ...]
    lead: Lead


@cache
def make_lead(engine: int, away: int = NO_ENGINE) -> Lead:
    return Lead(engine, away)


@cache
def make_row(state: JobState, epoch: int, engine: int, *rest: int) -> Row:
    cancel_requested, errors, crashes, releases, memos, intent = rest
    return Row(
        state, epoch, engine, bool(cancel_requested), errors, crashes, releases, memos, intent
    )


@cache
def make_message(epoch: int, engine: int) -> Message:
    return Message(epoch, engine, 1 << (2 * epoch + engine))


_serials = iter(range(1_000_000))


@cache
def make_worker(  # noqa: PLR0917 - keywords take the cache twice as long
    pc: str, step: int = 0, epoch: int = 0, engine: int = 0, authority: int = LOST, memos: int = 0
) -> Worker:
    return Worker(pc, step, epoch, engine, authority, memos, next(_serials))


@cache
def make_carrier(
    pc: str,
    saw: JobState = JobState.OFFERED,
    message: Message | None = None,
    *,
    fresh: bool = False,
) -> Carrier:
    return Carrier(pc, saw, message, fresh, next(_serials))


@cache
def fenced(worker: Worker) -> Worker:
    """Return a worker whose claim id is no longer the row's."""
    w = worker
    return make_worker(w.pc, w.step, w.epoch, w.engine, LOST, w.memos)


@cache
def stale(carrier: Carrier) -> Carrier:
    """Return a carrier that last saw the row before it changed."""
    c = carrier
    return make_carrier(c.pc, c.saw, c.message)


@cache
def all_fenced(workers: tuple[Worker, ...]) -> tuple[Worker, ...]:
    return tuple(fenced(worker) for worker in workers)


@cache
def all_stale(carriers: tuple[Carrier, ...]) -> tuple[Carrier, ...]:
    return tuple(stale(carrier) for carrier in carriers)


@cache
def without_the_idle(carriers: tuple[Carrier, ...], sent: int) -> tuple[Carrier, ...]:
    """Let carriers be idle whose view is stale and whose message is sent: they can do no more."""
    return tuple(make_carrier(IDLE) if _is_done(carrier, sent) else carrier for carrier in carriers)


def _is_done(carrier: Carrier, sent: int) -> bool:
    if carrier.fresh or carrier.pc == MARKING:
        return False
    return carrier.message is None or bool(carrier.message.bit & sent)


@cache
def in_order(crew: tuple[Member, ...]) -> tuple[Member, ...]:
    return tuple(sorted(crew, key=_serial))


def _serial(member: Member) -> int:
    return member.serial
