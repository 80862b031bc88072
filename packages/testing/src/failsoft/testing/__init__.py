"""Fakes and conformance suites, for Failsoft's own tests and for yours.

`MemoryLedger`, `MemoryEngine` and `FrozenClock` let a job be tested without a server. A ledger
or an engine of your own is one when it passes `LedgerSuite` or `EngineSuite`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
else:
    _MODULES = {
        "BasicWorkerSuite": "engine_suite",
        "EngineBench": "engine_suite",
        "EngineSuite": "engine_suite",
        "ForeignMessage": "engine_suite",
        "FrozenClock": "clock",
        "LedgerSuite": "ledger_suite",
        "MemoryEngine": "memory_engine",
        "MemoryLedger": "memory_ledger.ledger",
        "ServerlessEngineSuite": "engine_suite",
        "WorkerBench": "engine_suite",
        "WorkerSuite": "engine_suite",
    }

    def __getattr__(name: str) -> object:
        # Imported at first use: the engine `memory` loads neither the ledger nor the suites.
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


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
