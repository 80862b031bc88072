"""`tx` steps write exactly once, whatever engine and ledger."""

import pytest
from sqlalchemy import text

from failsoft.job_engine import JobDefinition
from tests.deployments.shared import House
from tests.features.jobs.steps.transactions import Payment, tx_pay, tx_pay_async


@pytest.mark.parametrize("job", [tx_pay, tx_pay_async], ids=lambda job: job.name)
def test_a_payment_is_written_once(house: House, job: JobDefinition[Payment, str]) -> None:
    make = text("CREATE TABLE IF NOT EXISTS tx_payments (payer TEXT)")
    house.database.write(lambda c: c.execute(make))
    payer = house.unique("payer")

    assert house.dispatch(job, Payment(payer=payer)).result() == payer

    count = text("SELECT count(*) FROM tx_payments WHERE payer = :payer")
    assert house.database.read(lambda c: c.execute(count, {"payer": payer}).scalar()) == 1
