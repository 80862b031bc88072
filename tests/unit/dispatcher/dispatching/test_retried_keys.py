"""What is tried again is unique as it was when it was dispatched."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import Throttle, Unique, declare_job
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.errors import OptionInvalidError, UniqueKeyHeldError
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import Conclusion
from failsoft.job_engine.records.states import FAIL
from tests.unit.support.memory_app import MemoryApp

BY = ("customer",)
ERROR = ErrorRecord("ValueError", "no such customer", "Traceback ...")


class Bill(BaseModel):
    customer: str = "acme"
    rows: int = 1


BILL = declare_job("bill", payload=Bill, result=int, unique=Unique(by=BY))
PLAIN = declare_job("plain", payload=Bill, result=int)


def failed(
    app: MemoryApp, bill: Bill | None = None, job: AnyDefinition = BILL, **options: Any
) -> JobHandle[int]:
    handle = app.dispatcher.dispatch(job, bill or Bill(), **options)
    claim = app.claim(handle.job())
    assert claim is not None
    app.ledger.conclude(claim, Conclusion(FAIL, error=ERROR))
    app.clock.advance(timedelta(seconds=1))
    return handle


def test_a_dispatch_finds_the_job_that_is_tried_again() -> None:
    app = MemoryApp()
    again = failed(app).retry()

    found = app.dispatcher.dispatch(BILL, Bill(rows=2))

    assert (found.id, found.disposition) == (again.id, "existing")


def test_no_dispatch_replaces_what_is_done_again() -> None:
    app = MemoryApp()
    again = failed(app).retry()

    found = app.dispatcher.dispatch(BILL, Bill(rows=2), on_duplicate="replace")

    assert (found.id, found.disposition) == (again.id, "existing")
    assert found.job().payload == '{"customer":"acme","rows":1}'


def test_an_edited_payload_makes_the_key_anew() -> None:
    app = MemoryApp()
    dead = failed(app)

    same_customer = dead.retry(payload=Bill(rows=2))
    with pytest.raises(UniqueKeyHeldError, match=same_customer.id):
        dead.retry(payload=Bill(rows=3))
    other_customer = dead.retry(payload=Bill(customer="borg"))

    assert app.dispatcher.dispatch(BILL, Bill()).id == same_customer.id
    assert app.dispatcher.dispatch(BILL, Bill(customer="borg")).id == other_customer.id


@pytest.mark.parametrize(
    ("job", "options"),
    [
        (PLAIN, {"unique": Unique(by=BY)}),
        (BILL, {"unique": Unique(by=BY, period=timedelta(hours=1))}),
        (BILL, {"throttle": Throttle(by=BY, period=timedelta(hours=1))}),
        (BILL, {"unique": None}),
    ],
    ids=["of the dispatch", "period", "throttle", "none"],
)
def test_an_edited_payload_has_no_key_but_that_of_its_definition(
    job: AnyDefinition, options: dict[str, Any]
) -> None:
    dead = failed(MemoryApp(), job=job, **options)

    edited = dead.retry(payload=Bill(rows=2))

    assert edited.job().unique_key is None


def test_a_payload_without_its_definition_has_no_key_to_be_made_of() -> None:
    app = MemoryApp()
    dead, plain = failed(app), failed(app, job=PLAIN)

    with pytest.raises(OptionInvalidError, match=r"retry: expected .*; ask by the job's handle"):
        app.dispatcher.retry(dead.id, payload=Bill(rows=2))

    assert app.dispatcher.retry(plain.id, payload=Bill(rows=2)).retry_of == plain.id
    assert app.dispatcher.retry(dead.id).unique_key == dead.job().unique_key


def test_many_are_tried_again_without_those_whose_key_is_held() -> None:
    app = MemoryApp()
    first, second, third = (failed(app, Bill(rows=n)) for n in range(3))
    other = failed(app, Bill(customer="borg"))
    holder = app.dispatcher.dispatch(BILL, Bill(customer="borg"))

    report = app.dispatcher.retry_many(name="bill")

    ((old, new),) = report.retried
    assert old == first.id
    assert {each.job_id: each.holder_id for each in report.refused} == {
        second.id: new,
        third.id: new,
        other.id: holder.id,
    }
    assert all(each.holder_id in each.reason for each in report.refused)
    assert report.skipped == ()
    holder.cancel()
    assert [old for old, _ in app.dispatcher.retry_many(name="bill").retried] == [other.id]
