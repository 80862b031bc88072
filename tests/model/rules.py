"""What is explored, and which rules of the protocol the processes keep."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from failsoft.job_engine.outcome import MAX_CRASHES
from failsoft.job_engine.records.states import TRANSITIONS, Transition

#: The kinds of steps a job is made of.
PLAIN, ONCE, SLEEP = "plain", "once", "sleep"


@dataclass(frozen=True)
class Config:
    """One configuration.

    Attributes:
        carriers: How many processes there are that each rescue and schedule.
        steps: The job: the kinds of its steps.
        retries: How many errors are tried again.
        releases: How often a worker gives the job back.
        deaths: Whether a worker may see the process of its attempt die.
        resolve: Whether a person resolves the job when it is held.
        delayed: Whether the job is dispatched for later.
        expires: Whether a job that no attempt has begun may expire.
        replaced: Whether it may be dispatched again with another payload.
        limited: Whether a claim may find no room, for other jobs of its key run (I12).
        clock_ahead: Whether the ledger's clock was ahead when it wrote every deadline of the job:
            none of them ever passes on it.
        any_engine: Whether an offer may go to either engine, or to the other one only.
        routes: Whether weights that change at any time lead to an engine, and either engine may
            take no offers for a while.
    """

    name: str
    workers: int
    carriers: int
    epochs: int
    steps: tuple[str, ...]
    cancel: bool = False
    resolve: bool = False
    retries: int = 0
    releases: int = 0
    deaths: bool = False
    delayed: bool = False
    expires: bool = False
    replaced: bool = False
    limited: bool = False
    any_engine: bool = False
    clock_ahead: bool = False
    routes: bool = False
    lost_replies: bool = True
    max_crashes: int = MAX_CRASHES


@dataclass(frozen=True)
class Rules:
    """The rules of docs/explain/protocol.md that a mutation may drop; the numbers are theirs."""

    state_before_send: bool = True  # 3
    claim_in_one_statement: bool = True  # 4
    fence_records: bool = True  # 7
    ask_at_begin: bool = True  # 8
    ask_at_every_begin: bool = True  # 8
    heed_cancel_at_begin: bool = True  # 8
    intent_before_once: bool = True  # 10
    rescue_offered: bool = True  # 14
    rescue_running: bool = True  # 14
    watch_by_steady_clock: bool = True  # 12: what stood still for three leases is lost
    weights_lead_somewhere: bool = True  # 23: past an engine that takes no offers
    routes_move_nothing: bool = True  # 24: what is recorded stays where it is
    mend_deadlines: bool = True  # 12: what lies further ahead than its span is pulled in


@dataclass(frozen=True)
class Protocol:
    """The product's table of transitions and the rules, as they are or mutated."""

    table: Mapping[str, Transition] = field(
        default_factory=lambda: {transition.name: transition for transition in TRANSITIONS}
    )
    rules: Rules = Rules()
