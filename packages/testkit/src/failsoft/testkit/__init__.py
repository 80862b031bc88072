"""Tests of programs that dispatch jobs: in memory, on engines and workers that fail.

`Testkit` is what the pytest fixture `failsoft` is; `FailsoftTestCase` has one for `unittest`.
`Drained`, `Dispatched`, `Performed`, `Attempt` and `Replayed` are what it returns. `UnfinishedJobs`
is the warning of a test that leaves jobs behind, `DrainLimitError` a drain without an end,
`ProcessDied` what a dispatch raises that a test lets die. `replay` runs new code over the steps
that a job has recorded, which `save_story` wrote to a file.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from failsoft.testkit.kit import Testkit
    from failsoft.testkit.replaying import replay, save_story
    from failsoft.testkit.results import (
        Attempt,
        Dispatched,
        Drained,
        DrainLimitError,
        Performed,
        ProcessDied,
        Replayed,
        UnfinishedJobs,
    )
    from failsoft.testkit.unittest_case import FailsoftTestCase
else:
    _MODULES = {
        "Attempt": "results",
        "Dispatched": "results",
        "DrainLimitError": "results",
        "Drained": "results",
        "FailsoftTestCase": "unittest_case",
        "Performed": "results",
        "ProcessDied": "results",
        "Replayed": "results",
        "Testkit": "kit",
        "UnfinishedJobs": "results",
        "replay": "replaying",
        "save_story": "replaying",
    }

    def __getattr__(name: str) -> object:
        # Imported at first use: the plug-in is loaded in every run of pytest.
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


__all__ = [
    "Attempt",
    "Dispatched",
    "DrainLimitError",
    "Drained",
    "FailsoftTestCase",
    "Performed",
    "ProcessDied",
    "Replayed",
    "Testkit",
    "UnfinishedJobs",
    "replay",
    "save_story",
]
