"""What a process of the matrix may be: a worker, or what dispatches, cancels or turns a bulk."""

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType

from failsoft.job_engine.clock import SystemClock
from failsoft.job_engine.jobs.scheduled.bulk_action import take_turns
from failsoft.job_engine.ports.console import BulkActions, BulkRecord
from failsoft.worker import process
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.wiring import build
from tests.jobs.crash_point_jobs import Script, crossing


def work(engine: str, queue: str) -> None:
    process.main([engine, queue])


def dispatch(job_id: str) -> None:
    build(load_settings()).dispatcher.dispatch(crossing, Script(steps=2), job_id=job_id)


def dispatch_to_rq(job_id: str) -> None:
    build(load_settings()).dispatcher.dispatch(
        crossing, Script(steps=2), job_id=job_id, engines=("rq",)
    )


def cancel(job_id: str) -> None:
    build(load_settings()).ledger.cancel(job_id, "a person")


class OneByOne:
    """A ledger whose turns of bulks have one job each."""

    def __init__(self, ledger: BulkActions) -> None:
        self.ledger = ledger

    def bulk_turn(self, bulk_id: str) -> BulkRecord:
        return self.ledger.bulk_turn(bulk_id, 1)


def bulk(bulk_id: str) -> None:
    take_turns(OneByOne(build(load_settings()).ledger), bulk_id, SystemClock())


ROLES: Mapping[str, Callable[..., None]] = MappingProxyType(
    {
        "work": work,
        "dispatch": dispatch,
        "dispatch-to-rq": dispatch_to_rq,
        "cancel": cancel,
        "bulk": bulk,
    }
)


def main() -> None:
    """Play the role that the arguments name, with the crash points of the environment armed."""
    _, role, *words = sys.argv
    ROLES[role](*words)
