"""The contract of chains and groups: what `Ledger` needs to let jobs wait for others."""

from collections.abc import Sequence
from typing import Protocol

from failsoft.job_engine.records.groups import GroupRecord
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan


class FlowLedger(Protocol):
    """Jobs that wait for others.

    A job with `waits_for` is recorded `scheduled` without a time: nothing starts it but the end of
    what it waits for, in the transaction of that end. It starts once.
    """

    def record_chain(
        self, jobs: Sequence[NewJob], plan: OfferPlan | None
    ) -> tuple[Sequence[JobRecord], bool]:
        """Record the jobs of a chain in one transaction, the first offered if there is a plan.

        Where the first has `waits_for`, it begins behind a job that is in the ledger: it is offered
        if that one has succeeded, cancelled if that one has ended otherwise, and left to that one's
        end if it has not ended.

        Returns:
            The jobs, and whether they are new; a chain of the same ids is returned as it is.

        Raises:
            JobNotFoundError: If the job to begin behind is not there; nothing was recorded.
            OptionInvalidError: If too many jobs wait for that one; nothing was recorded.
            DuplicateDispatchError: If some of the ids or keys are taken; nothing was recorded.
        """
        ...

    def record_group(
        self, group: GroupRecord, completion: NewJob | None, jobs: Sequence[NewJob]
    ) -> GroupRecord:
        """Record some jobs of a group in one transaction, and the group with the first of them.

        Jobs that are there are left alone, so that a dispatch that was cut off can be repeated.
        The completion job cannot start before the group is sealed.

        Args:
            group: The group; `sealed` if these are the last of its jobs.
            completion: Its completion job.
            jobs: The jobs.

        Raises:
            IdempotencyConflictError: If there is another group of that id.
        """
        ...

    def group(self, group_id: str) -> GroupRecord:
        """Return a group and how many of its jobs have ended how.

        Raises:
            GroupNotFoundError: If there is no such group.
        """
        ...
