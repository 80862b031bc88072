"""`tx` steps write exactly once, whatever engine and ledger."""

import pytest
from sqlalchemy import text

from failsoft.job_engine import JobDefinition
from tests.deployments.shared import EngineDeployment
from tests.features.jobs.steps.transactions import Payment, tx_pay, tx_pay_async


@pytest.mark.parametrize("job", [tx_pay, tx_pay_async], ids=lambda job: job.name)
def test_a_payment_is_written_once(
    deployment: EngineDeployment, job: JobDefinition[Payment, str]
) -> None:
    make = text("CREATE TABLE IF NOT EXISTS tx_payments (payer TEXT)")
    deployment.database.write(lambda c: c.execute(make))
    payer = deployment.unique("payer")

    assert deployment.dispatch(job, Payment(payer=payer)).result() == payer

    count = text("SELECT count(*) FROM tx_payments WHERE payer = :payer")
    assert deployment.database.read(lambda c: c.execute(count, {"payer": payer}).scalar()) == 1
