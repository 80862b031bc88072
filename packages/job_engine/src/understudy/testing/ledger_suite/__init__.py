"""A conformance suite for ledgers: subclass it, provide two fixtures, run it with pytest.

    @pytest.fixture
    def ledger() -> Ledger: ...            # empty, with its signing key

    @pytest.fixture
    def pass_time() -> PassTime: ...       # moves the ledger's clock on, without waiting

    class TestMyLedger(LedgerSuite): ...

Every promise of `understudy.job_engine.ports` has its test here. Nothing but the ledger's public
methods is used, and no server, plug-in or library; a ledger that passes may be trusted with jobs.
"""

from understudy.testing.ledger_suite.absorbing import AbsorbingPromises
from understudy.testing.ledger_suite.cancelling import CancellingPromises
from understudy.testing.ledger_suite.claiming import ClaimingPromises
from understudy.testing.ledger_suite.concluding import ConcludingPromises
from understudy.testing.ledger_suite.engine_switches import EngineSwitchPromises
from understudy.testing.ledger_suite.flowing import ChainPromises
from understudy.testing.ledger_suite.grouping import GroupPromises
from understudy.testing.ledger_suite.invoking import InvokingPromises
from understudy.testing.ledger_suite.jumping import JumpingPromises
from understudy.testing.ledger_suite.keys import KeyPromises
from understudy.testing.ledger_suite.limiting import LimitingPromises
from understudy.testing.ledger_suite.losing import LosingPromises
from understudy.testing.ledger_suite.meeting import MeetingPromises
from understudy.testing.ledger_suite.offering import OfferingPromises
from understudy.testing.ledger_suite.pausing import PausingPromises
from understudy.testing.ledger_suite.racing import RacingPromises
from understudy.testing.ledger_suite.reading import ReadingPromises
from understudy.testing.ledger_suite.recording import RecordingPromises
from understudy.testing.ledger_suite.recording_many import ManyPromises
from understudy.testing.ledger_suite.resolving import ResolvingPromises
from understudy.testing.ledger_suite.retried_keys import RetriedKeysPromises
from understudy.testing.ledger_suite.retrying import RetryingPromises
from understudy.testing.ledger_suite.scene import PassTime
from understudy.testing.ledger_suite.scheduling import SchedulingPromises
from understudy.testing.ledger_suite.sequels import SequelPromises
from understudy.testing.ledger_suite.stepping import SteppingPromises
from understudy.testing.ledger_suite.uniting import UnitingPromises
from understudy.testing.ledger_suite.waiting import WaitingPromises
from understudy.testing.ledger_suite.watching import WatchingPromises

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
