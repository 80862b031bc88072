"""Recording jobs, each once: by its id, its idempotency key and its unique key (I10)."""

from collections.abc import Sequence

from sqlalchemy import Connection

from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.ledger.database.postgresql.replicated import expect_replicated
from failsoft.ledger.database.role import SqlRole
from failsoft.ledger.transitions import insert
from failsoft.ledger.transitions.insert import record
from failsoft.ledger.transitions.insert_many import insert_many, is_plain
from failsoft.ledger.transitions.precedence import lock_many, order_of


class SqlRecording(SqlRole):
    """`record_job` on SQL; it may be repeated after a lost reply (F22)."""

    def record_job(self, job: NewJob, plan: OfferPlan | None) -> tuple[JobRecord, bool]:
        """Record a job in one commit, already offered if there is a plan (rules 1 and 3)."""
        new = self._database.write_one(
            lambda c: insert.insert_job(c, job, plan, self._actor), "dispatch"
        )
        if new is not None:
            return new, True

        def work(connection: Connection) -> tuple[JobRecord, bool]:
            found, is_new = record(connection, job, plan, self._actor)
            if not is_new:
                expect_replicated(connection)
            return found, is_new

        return self._database.write(work, "dispatch")

    def record_jobs(
        self, jobs: Sequence[tuple[NewJob, OfferPlan | None]]
    ) -> Sequence[tuple[JobRecord, bool]]:
        """Record many jobs in one commit, or none of them."""

        def work(connection: Connection) -> list[tuple[JobRecord, bool]]:
            lock_many(connection, given)
            new = insert_many(connection, [jobs[n] for n in plain], self._actor)
            found = {n: (new[given[n].id], True) for n in plain if given[n].id in new}
            # What is left has keys, or an id that is taken.
            for n in order:
                if n not in found:
                    found[n] = record(connection, *jobs[n], self._actor)
            if not all(is_new for _, is_new in found.values()):
                expect_replicated(connection)
            return [found[n] for n in range(len(jobs))]

        given = [job for job, _ in jobs]
        order = order_of(given)
        first = {given[n].id: n for n in reversed(order)}
        plain = [n for n in order if is_plain(given[n]) and first[given[n].id] == n]
        return self._database.write(work, "dispatch", self._database.at_length)
