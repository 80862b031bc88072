"""A dispatch whose job was dispatched before (I10)."""

from dataclasses import dataclass

from failsoft.dispatcher.handles.job import Disposition, HandleLedger
from failsoft.dispatcher.options.options import OnDuplicate
from failsoft.job_engine.errors import DuplicateDispatchError, IdempotencyConflictError
from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob


@dataclass(frozen=True, slots=True)
class Settled:
    """The job that a dispatch led to, and what the dispatch did to it."""

    record: JobRecord
    disposition: Disposition


class Duplicates:
    """Settle a dispatch whose key, or whose job id, was used before."""

    def __init__(self, ledger: HandleLedger) -> None:
        self._ledger = ledger

    def settle(self, new: NewJob, known: JobRecord, on_duplicate: OnDuplicate) -> Settled:
        """Return the job that was there, or make it what is dispatched now.

        Raises:
            DuplicateDispatchError: With `on_duplicate="raise"`.
            IdempotencyConflictError: The key or the job id was used for other work.
        """
        match on_duplicate:
            case "replace":
                _expect_same_job(new, known)
                return self._replace(new, known)
            case "raise":
                _expect_same_work(new, known)
                raise DuplicateDispatchError(
                    f"expected an unused key or job id, got that of job {known.id}, "
                    f"which is {known.state}"
                )
            case _:
                _expect_same_work(new, known)
                return Settled(known, "existing")

    def _replace(self, new: NewJob, known: JobRecord) -> Settled:
        # A compare-and-set that loses lost to a change of the job, and its claim ends the loop.
        # A dispatch does not release a job that waits for another. The parent of an invoked job
        # gets the result of what it invoked, and the steps of a manual retry belong to its payload.
        while known.is_unbegun and not (known.waits_for or known.parent_id or known.retry_of):
            replaced = self._ledger.replace(known, new)
            if replaced is not None:
                return Settled(replaced, "replaced")
            known = self._ledger.get(known.id)
        return Settled(known, "existing")


def _expect_same_job(new: NewJob, known: JobRecord) -> None:
    if known.name != new.name:
        raise IdempotencyConflictError(
            f"expected a job id of job {new.name!r}, got {known.id}, which is a {known.name!r}; "
            "use another job id"
        )


def _expect_same_work(new: NewJob, known: JobRecord) -> None:
    if _is_named(new, known) and (known.name, known.payload_sha) != (new.name, new.payload_sha):
        raise IdempotencyConflictError(
            f"expected the payload that job {known.id} was dispatched with, got another; "
            "use another idempotency key or job id for other work (I10)"
        )


def _is_named(new: NewJob, known: JobRecord) -> bool:
    """Return whether a dispatch named this very job; a unique key stands for any job like it."""
    same_key = new.idempotency_key is not None and new.idempotency_key == known.idempotency_key
    return known.id == new.id or same_key
