"""Fakes and conformance suites, for Failsoft's own tests and for yours.

`MemoryLedger`, `MemoryEngine` and `FrozenClock` let a job be tested without a server. A ledger
or an engine of your own is one when it passes `LedgerSuite` or `EngineSuite`.
"""

from failsoft.testing.clock import FrozenClock
from failsoft.testing.engine_suite import (
    BasicWorkerSuite,
    EngineBench,
    EngineSuite,
    ForeignMessage,
    ServerlessEngineSuite,
    WorkerBench,
    WorkerSuite,
)
from failsoft.testing.ledger_suite import LedgerSuite
from failsoft.testing.memory_engine import MemoryEngine
from failsoft.testing.memory_ledger.ledger import MemoryLedger

__all__ = [
    "BasicWorkerSuite",
    "EngineBench",
    "EngineSuite",
    "ForeignMessage",
    "FrozenClock",
    "LedgerSuite",
    "MemoryEngine",
    "MemoryLedger",
    "ServerlessEngineSuite",
    "WorkerBench",
    "WorkerSuite",
]
