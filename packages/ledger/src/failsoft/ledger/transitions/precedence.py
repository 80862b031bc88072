"""Precedence among transactions that record many jobs with the same keys: no deadlock.

An insert of a key that another transaction has inserted waits for its end, and many jobs are one
transaction. With one kind of key there is an order for all: the keys' own. Where a job has two,
an idempotency key and a unique key, no order suits both, so such a transaction has the keyed
jobs of its names to itself, and those that go by the order share them.

Only PostgreSQL needs it; SQLite has one writer at a time. A job that is recorded alone waits before
it has inserted anything.
"""

import hashlib
from collections.abc import Sequence

from sqlalchemy import Connection

from failsoft.job_engine.records.new_job import NewJob
from failsoft.ledger.database import advisory


def order_of(jobs: Sequence[NewJob]) -> list[int]:
    """Return the places of jobs in the order in which to record them.

    Of two with the same key the first given comes first, and so is the one that is made.
    """
    if any(map(_has_two_keys, jobs)):
        return list(range(len(jobs)))
    return sorted(range(len(jobs)), key=lambda place: _rank(jobs[place]))


def lock_many(connection: Connection, jobs: Sequence[NewJob]) -> None:
    """Wait until no transaction records many jobs with the same names in another order."""
    shared = not any(map(_has_two_keys, jobs))
    for name in sorted({job.name for job in jobs if job.idempotency_key or job.unique}):
        digest = hashlib.sha256(f"keys of {name}".encode()).hexdigest()
        advisory.lock(connection, digest, shared=shared)


def _has_two_keys(job: NewJob) -> bool:
    return job.idempotency_key is not None and job.unique is not None


def _rank(job: NewJob) -> tuple[str, str, str, str]:
    key, unique = job.idempotency_key or "", job.unique.key if job.unique else ""
    return job.name, key, unique, "" if key or unique else job.id
