"""A conformance suite for ledgers: subclass it, provide two fixtures, run it with pytest.

    @pytest.fixture
    def ledger() -> Ledger: ...            # empty, with its signing key

    @pytest.fixture
    def pass_time() -> PassTime: ...       # moves the ledger's clock on, without waiting

    class TestMyLedger(LedgerSuite): ...

Every promise of `failsoft.job_engine.ports.ledger` has its test here. It uses the ledger's
public methods only, and no server, plug-in or library.
"""

from failsoft.testing.ledger_suite.attempts.claims import ClaimPromises
from failsoft.testing.ledger_suite.attempts.clock_jumps import ClockJumpPromises
from failsoft.testing.ledger_suite.attempts.conclusions import ConclusionPromises
from failsoft.testing.ledger_suite.attempts.hand_over import HandOverPromises
from failsoft.testing.ledger_suite.attempts.lost_leases import LostLeasePromises
from failsoft.testing.ledger_suite.attempts.offers import OfferPromises
from failsoft.testing.ledger_suite.attempts.rescue import RescuePromises
from failsoft.testing.ledger_suite.attempts.steps import StepPromises
from failsoft.testing.ledger_suite.attempts.terminal_states import TerminalStatePromises
from failsoft.testing.ledger_suite.attempts.traces import TracePromises
from failsoft.testing.ledger_suite.console.activity import ActivityPromises
from failsoft.testing.ledger_suite.console.bulks import BulkPromises
from failsoft.testing.ledger_suite.console.lists import JobListPromises
from failsoft.testing.ledger_suite.console.notices import NoticePromises
from failsoft.testing.ledger_suite.console.standing import StandingPromises
from failsoft.testing.ledger_suite.control.cancel import CancelPromises
from failsoft.testing.ledger_suite.control.engine_switches import EngineSwitchPromises
from failsoft.testing.ledger_suite.control.keys import KeyPromises
from failsoft.testing.ledger_suite.control.pauses import PausePromises
from failsoft.testing.ledger_suite.control.reader import ReaderPromises
from failsoft.testing.ledger_suite.control.resolutions import ResolutionPromises
from failsoft.testing.ledger_suite.control.retried_keys import RetriedKeyPromises
from failsoft.testing.ledger_suite.control.retries import RetryPromises
from failsoft.testing.ledger_suite.control.routes import (
    DeliveryPromises,
    GuardPromises,
    RoutePromises,
)
from failsoft.testing.ledger_suite.dispatching.bulk_dispatch import BulkDispatchPromises
from failsoft.testing.ledger_suite.dispatching.dispatch import DispatchPromises
from failsoft.testing.ledger_suite.dispatching.expiry import ExpiryPromises
from failsoft.testing.ledger_suite.dispatching.limits import LimitPromises
from failsoft.testing.ledger_suite.dispatching.schedules import SchedulePromises
from failsoft.testing.ledger_suite.dispatching.taken_offers import TakenOfferPromises
from failsoft.testing.ledger_suite.dispatching.unique_keys import UniqueKeyPromises
from failsoft.testing.ledger_suite.fixtures import PassTime
from failsoft.testing.ledger_suite.flow.chains import ChainPromises
from failsoft.testing.ledger_suite.flow.events import EventPromises
from failsoft.testing.ledger_suite.flow.follow_ups import FollowUpPromises
from failsoft.testing.ledger_suite.flow.groups import GroupPromises
from failsoft.testing.ledger_suite.flow.invoked_jobs import InvokedJobPromises
from failsoft.testing.ledger_suite.measures.measures import FigurePromises, MeasurePromises
from failsoft.testing.ledger_suite.races import RacePromises

__all__ = ["LedgerSuite", "PassTime"]


class LedgerSuite(
    DispatchPromises,
    BulkDispatchPromises,
    OfferPromises,
    HandOverPromises,
    TakenOfferPromises,
    ClaimPromises,
    StepPromises,
    ConclusionPromises,
    CancelPromises,
    TerminalStatePromises,
    ResolutionPromises,
    UniqueKeyPromises,
    ExpiryPromises,
    EventPromises,
    InvokedJobPromises,
    RetryPromises,
    RetriedKeyPromises,
    PausePromises,
    EngineSwitchPromises,
    RoutePromises,
    GuardPromises,
    DeliveryPromises,
    LimitPromises,
    RescuePromises,
    KeyPromises,
    LostLeasePromises,
    ClockJumpPromises,
    ReaderPromises,
    JobListPromises,
    StandingPromises,
    ActivityPromises,
    BulkPromises,
    NoticePromises,
    SchedulePromises,
    FollowUpPromises,
    ChainPromises,
    GroupPromises,
    MeasurePromises,
    FigurePromises,
    TracePromises,
    RacePromises,
):
    """Every promise that a ledger makes."""
