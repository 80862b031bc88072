"""Jobs of the tests of chains and groups, and an app that runs them."""

from pydantic import BaseModel, RootModel

from failsoft.job_engine import GroupResult, JobContext, JobState, Link, Unique, job
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import Conclusion
from failsoft.job_engine.records.states import FAIL, SUCCEED
from tests.unit.support.attempts import Mail
from tests.unit.support.memory_app import MemoryApp


class Report(BaseModel):
    pages: int = 0


class Digest(BaseModel):
    text: str = ""
    of: GroupResult | None = None


@job()
def count(payload: Mail, ctx: JobContext) -> int:
    return payload.user_id


@job()
def write(payload: Report, ctx: JobContext) -> str:
    return f"{payload.pages} pages"


@job()
def gather(payload: GroupResult, ctx: JobContext) -> int:
    return payload.succeeded


@job()
def digest(payload: Digest, ctx: JobContext) -> None:
    return None


@job(unique=Unique(by=("user_id",)))
def single(payload: Mail, ctx: JobContext) -> None:
    return None


class Numbers(RootModel[list[int]]):
    pass


@job()
def add(payload: Numbers, ctx: JobContext) -> int:
    return sum(payload.root)


class FlowApp(MemoryApp):
    """An app whose jobs end as a test says."""

    def end(self, job_id: str, result: str | None = "null") -> None:
        self.workers()
        if self.ledger.get(job_id).state is JobState.SCHEDULED:
            self.stager.tick()
        claim = self.claim(self.ledger.get(job_id))
        assert claim is not None
        failed = Conclusion(FAIL, error=ErrorRecord("ValueError", "no paper"))
        self.ledger.conclude(claim, failed if result is None else Conclusion(SUCCEED, result))

    def states(self, *job_ids: str) -> list[str]:
        return [self.ledger.get(each).state.value for each in job_ids]


COUNT, WRITE = Link(count, Mail()), Link(write, Report(), result_field="pages")


DIGEST = Link(digest, Digest(), result_field="of", job_id="g-0")
