"""A conformance suite for ledgers: subclass it, provide two fixtures, run it with pytest.

    @pytest.fixture
    def ledger() -> Ledger: ...            # empty, with its signing key

    @pytest.fixture
    def pass_time() -> PassTime: ...       # moves the ledger's clock on, without waiting

    class TestMyLedger(LedgerSuite): ...

Every promise of `understudy.job_engine.ports.ledger` has its test here. Nothing but the ledger's
public methods is used, and no server, plug-in or library; a ledger that passes may be trusted with
jobs.
"""

from understudy.testing.ledger_suite.attempts.claims import ClaimingPromises
from understudy.testing.ledger_suite.attempts.clock_jumps import JumpingPromises
from understudy.testing.ledger_suite.attempts.conclusions import ConcludingPromises
from understudy.testing.ledger_suite.attempts.lost_leases import LosingPromises
from understudy.testing.ledger_suite.attempts.offers import OfferingPromises
from understudy.testing.ledger_suite.attempts.rescue import WatchingPromises
from understudy.testing.ledger_suite.attempts.steps import SteppingPromises
from understudy.testing.ledger_suite.attempts.terminal_states import AbsorbingPromises
from understudy.testing.ledger_suite.control.cancel import CancellingPromises
from understudy.testing.ledger_suite.control.engine_switches import EngineSwitchPromises
from understudy.testing.ledger_suite.control.keys import KeyPromises
from understudy.testing.ledger_suite.control.pauses import PausingPromises
from understudy.testing.ledger_suite.control.reader import ReadingPromises
from understudy.testing.ledger_suite.control.resolutions import ResolvingPromises
from understudy.testing.ledger_suite.control.retried_keys import RetriedKeysPromises
from understudy.testing.ledger_suite.control.retries import RetryingPromises
from understudy.testing.ledger_suite.dispatching.bulk_dispatch import ManyPromises
from understudy.testing.ledger_suite.dispatching.dispatch import RecordingPromises
from understudy.testing.ledger_suite.dispatching.expiry import WaitingPromises
from understudy.testing.ledger_suite.dispatching.limits import LimitingPromises
from understudy.testing.ledger_suite.dispatching.schedules import SchedulingPromises
from understudy.testing.ledger_suite.dispatching.unique_keys import UnitingPromises
from understudy.testing.ledger_suite.fixtures import PassTime
from understudy.testing.ledger_suite.flow.chains import ChainPromises
from understudy.testing.ledger_suite.flow.events import MeetingPromises
from understudy.testing.ledger_suite.flow.follow_ups import SequelPromises
from understudy.testing.ledger_suite.flow.groups import GroupPromises
from understudy.testing.ledger_suite.flow.invoked_jobs import InvokingPromises
from understudy.testing.ledger_suite.races import RacingPromises

__all__ = ["LedgerSuite", "PassTime"]


class LedgerSuite(
    RecordingPromises,
    ManyPromises,
    OfferingPromises,
    ClaimingPromises,
    SteppingPromises,
    ConcludingPromises,
    CancellingPromises,
    AbsorbingPromises,
    ResolvingPromises,
    UnitingPromises,
    WaitingPromises,
    MeetingPromises,
    InvokingPromises,
    RetryingPromises,
    RetriedKeysPromises,
    PausingPromises,
    EngineSwitchPromises,
    LimitingPromises,
    WatchingPromises,
    KeyPromises,
    LosingPromises,
    JumpingPromises,
    ReadingPromises,
    SchedulingPromises,
    SequelPromises,
    ChainPromises,
    GroupPromises,
    RacingPromises,
):
    """Every promise that a ledger makes."""
