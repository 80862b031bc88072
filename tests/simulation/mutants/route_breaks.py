"""Ledgers that break a rule of routes; the simulation must find every one."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from failsoft.job_engine.records.job import JobRecord
from failsoft.job_engine.records.new_job import NewJob, OfferPlan
from failsoft.job_engine.records.routing.rule import Routable, RouteRule, by_match, rule_of
from failsoft.job_engine.records.states import JobState
from failsoft.testing import MemoryLedger


class LeadsNowhere(MemoryLedger):
    """M15: an offer goes where the weights lead, whether that engine is there or not."""

    def record_job(self, job: NewJob, plan: OfferPlan | None) -> tuple[JobRecord, bool]:
        return super().record_job(job, plan and self._led(job, plan))

    def offer(self, seen: JobRecord, plan: OfferPlan) -> JobRecord | None:
        return super().offer(seen, self._led(seen, plan))

    def _led(self, job: Routable, plan: OfferPlan) -> OfferPlan:
        rule = rule_of(job, by_match(self.routes()))
        return plan if rule is None else replace(plan, engine=rule.choice(job.id))


class MovesWhatIsRecorded(MemoryLedger):
    """M16: a rule that is set takes what was offered before, and what runs, to its own engine."""

    def set_route(self, rule: RouteRule, lasts: timedelta | None = None) -> RouteRule:
        held = super().set_route(rule, lasts)
        for row in list(self._store.rows.values()):
            if row.state in (JobState.OFFERED, JobState.RUNNING) and rule_of(row, by_match([held])):
                moved = replace(row, state=JobState.OFFERED, engine=held.choice(row.id))
                self._store.rows[row.id] = moved
        return held


#: What each breaks, as it is reported.
BREAKS_OF_ROUTES: Mapping[type[MemoryLedger], str] = {
    LeadsNowhere: "rule 23",
    MovesWhatIsRecorded: "I2",
}
