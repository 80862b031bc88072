"""Waiting for the claim of a job that was just dispatched: `confirm="pickup"`."""

from failsoft.dispatcher.handles.job import FIRST_LOOK, SLOWEST_LOOK, HandleLedger
from failsoft.dispatcher.offering.offerer import Offerer
from failsoft.dispatcher.offering.router import Router
from failsoft.job_engine.clock import Deadline
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.states import JobState


class Pickups:
    """See jobs picked up, or move them on."""

    def __init__(self, ledger: HandleLedger, router: Router, offerer: Offerer) -> None:
        self._ledger = ledger
        self._router = router
        self._offerer = offerer

    def confirm(self, record: JobRecord, queue: QueueProfile) -> JobRecord:
        """Wait for the claim, the only proof of pickup; then move on once per engine."""
        tried = {record.engine}
        while (record := self._wait(record, queue)).state is JobState.OFFERED:
            route = self._router.route(record.queue, record.engines, epoch=record.epoch + 1)
            others = [name for name in route.order if name not in tried]
            if not others:
                return record
            tried.add(others[0])
            moved = self._offerer.hand_over(record, others[0], queue, "not picked up in time")
            if moved is not None:
                record = self._offerer.carry(moved, (), queue)
        return record

    def _wait(self, record: JobRecord, queue: QueueProfile) -> JobRecord:
        clock = self._offerer.clock
        deadline = Deadline.after(clock, queue.pickup)
        pause = FIRST_LOOK
        while record.state is JobState.OFFERED and not deadline.passed:
            clock.sleep(min(pause, deadline.remaining()))
            pause = min(pause * 2, SLOWEST_LOOK)
            record = self._ledger.get(record.id)
        return record
