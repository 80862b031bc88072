"""The parts of the contracts that are about many jobs at once; see `ports`."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from failsoft.job_engine.clock import Deadline
from failsoft.job_engine.errors import EngineError
from failsoft.job_engine.policies.queue import QueueProfile
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.message import Message
from failsoft.job_engine.records.new_job import NewJob, OfferPlan


class BulkLedger(Protocol):
    """The ledger as `dispatch_many` needs it."""

    def record_jobs(
        self, jobs: Sequence[tuple[NewJob, OfferPlan | None]]
    ) -> Sequence[tuple[JobRecord, bool]]:
        """Record many jobs in one commit, or none of them; see `OfferLedger.record_job`."""
        ...


@runtime_checkable
class BulkEngineAdapter(Protocol):
    """What an engine adapter may do besides: take many offers in one go.

    An adapter without it gets them one by one.
    """

    def offer_many(
        self, messages: Sequence[Message], queue: QueueProfile, deadline: Deadline
    ) -> Sequence[EngineError | None]:
        """Hand messages to the engine; say of each why it has it not, or may not have it.

        Raises:
            EngineError: The same is true of all of them.
        """
        ...
