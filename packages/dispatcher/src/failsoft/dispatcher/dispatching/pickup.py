"""Waiting for the claim of a job that was just dispatched: `confirm="pickup"`."""

from functools import partial

from failsoft.dispatcher.handles.job import HandleLedger
from failsoft.dispatcher.handles.waiting import poll
from failsoft.dispatcher.offering.offerer import NotTaken, Offerer
from failsoft.dispatcher.offering.router import Router
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.states import JobState

#: What has become of an offer that no worker claims in time.
LATE = NotTaken("not picked up in time", "no_pickup")


class Pickups:
    """Wait for claims, and move jobs on that get none."""

    def __init__(self, ledger: HandleLedger, router: Router, offerer: Offerer) -> None:
        self._ledger = ledger
        self._router = router
        self._offerer = offerer

    def confirm(self, record: JobRecord, queue: QueueProfile) -> JobRecord:
        """Wait for the claim, the only proof of pickup; then move on once per engine."""
        tried = {record.engine}
        while (record := self._wait(record, queue)).state is JobState.OFFERED:
            route = self._router.route(record, epoch=record.epoch + 1)
            others = [name for name in route.order if name not in tried]
            if not others:
                return record
            tried.add(others[0])
            moved = self._offerer.hand_over(record, others[0], queue, LATE)
            if moved is not None:
                record = self._offerer.carry(moved, (), queue)
        return record

    def _wait(self, record: JobRecord, queue: QueueProfile) -> JobRecord:
        look, clock = partial(self._ledger.get, record.id), self._offerer.clock
        return poll(look, lambda job: job.state is not JobState.OFFERED, clock, queue.pickup)
