"""A conformance suite for ledgers: subclass it, provide two fixtures, run it with pytest.

    @pytest.fixture
    def ledger() -> Ledger: ...            # empty, with its signing key

    @pytest.fixture
    def pass_time() -> PassTime: ...       # moves the ledger's clock on, without waiting

    class TestMyLedger(LedgerSuite): ...

Every promise of `failsoft.job_engine.ports.ledger` has its test here. It uses the ledger's
public methods only, and no server, plug-in or library.
"""

from failsoft.testing.ledger_suite.attempts.claims import ClaimingPromises
from failsoft.testing.ledger_suite.attempts.clock_jumps import JumpingPromises
from failsoft.testing.ledger_suite.attempts.conclusions import ConcludingPromises
from failsoft.testing.ledger_suite.attempts.lost_leases import LosingPromises
from failsoft.testing.ledger_suite.attempts.offers import OfferingPromises
from failsoft.testing.ledger_suite.attempts.rescue import WatchingPromises
from failsoft.testing.ledger_suite.attempts.steps import SteppingPromises
from failsoft.testing.ledger_suite.attempts.terminal_states import AbsorbingPromises
from failsoft.testing.ledger_suite.control.cancel import CancellingPromises
from failsoft.testing.ledger_suite.control.engine_switches import EngineSwitchPromises
from failsoft.testing.ledger_suite.control.keys import KeyPromises
from failsoft.testing.ledger_suite.control.pauses import PausingPromises
from failsoft.testing.ledger_suite.control.reader import ReadingPromises
from failsoft.testing.ledger_suite.control.resolutions import ResolvingPromises
from failsoft.testing.ledger_suite.control.retried_keys import RetriedKeysPromises
from failsoft.testing.ledger_suite.control.retries import RetryingPromises
from failsoft.testing.ledger_suite.dispatching.bulk_dispatch import ManyPromises
from failsoft.testing.ledger_suite.dispatching.dispatch import RecordingPromises
from failsoft.testing.ledger_suite.dispatching.expiry import WaitingPromises
from failsoft.testing.ledger_suite.dispatching.limits import LimitingPromises
from failsoft.testing.ledger_suite.dispatching.schedules import SchedulingPromises
from failsoft.testing.ledger_suite.dispatching.unique_keys import UnitingPromises
from failsoft.testing.ledger_suite.fixtures import PassTime
from failsoft.testing.ledger_suite.flow.chains import ChainPromises
from failsoft.testing.ledger_suite.flow.events import MeetingPromises
from failsoft.testing.ledger_suite.flow.follow_ups import SequelPromises
from failsoft.testing.ledger_suite.flow.groups import GroupPromises
from failsoft.testing.ledger_suite.flow.invoked_jobs import InvokingPromises
from failsoft.testing.ledger_suite.races import RacingPromises

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
