"""A job that fails sets off its hook, once; one that succeeds does not."""

import json

from failsoft.job_engine import JobState
from failsoft.job_engine.records.job import JobRecord
from tests.deployments.shared import PATIENCE, EngineDeployment
from tests.features.jobs.control.on_failure import Charge, on_failure_charge
from tests.servers.processes import wait_until


def test_a_failure_is_reported_once(deployment: EngineDeployment) -> None:
    fine = deployment.dispatch(on_failure_charge, Charge(amount=5, engine=deployment.engine))
    bad = deployment.dispatch(on_failure_charge, Charge(amount=0, engine=deployment.engine))

    deployment.wait_for(fine)
    deployment.wait_for(bad, JobState.FAILED)

    def hooks() -> list[JobRecord]:
        jobs = deployment.ledger.list_jobs(name="on-failure-tell", states=[JobState.SUCCEEDED])
        about = {each.id: json.loads(each.payload)["job_id"] for each in jobs}
        assert fine.id not in about.values()
        return [each for each in jobs if about[each.id] == bad.id]

    (hook,) = wait_until(hooks, PATIENCE, "the hook has run")
    assert hook.result == '"0: nothing to charge after 1"'
