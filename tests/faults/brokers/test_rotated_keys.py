"""Signing keys are rotated and revoked under load: no message is rejected wrongly, none is lost."""

from datetime import timedelta
from time import monotonic

import pytest

from tests.deployments.deployment import PATIENCE, Deployment
from tests.deployments.promises import assert_promises_kept
from tests.jobs.scripted import in_thread
from tests.servers.processes import wait_until

ENGINES = ("rq", "dramatiq")


@pytest.mark.fault("F49")
def test_a_rotation_under_load_rejects_no_message_and_a_revocation_loses_no_job(
    deployment: Deployment,
) -> None:
    workers = deployment.workers("threads")
    ledger = deployment.app.ledger
    (old,) = [key.kid for key in ledger.signing_keys()]
    new = ledger.rotate_keys(timedelta(hours=1))

    def signed_by_the_new_one() -> bool:
        # The load of one moment: an offer to each engine.
        for engine in ENGINES:
            deployment.dispatch(in_thread, engines=(engine,))
        return deployment.app.keys.sign("probe", 1, "rq").kid == new

    wait_until(signed_by_the_new_one, PATIENCE, "the new key signs")
    for engine in ENGINES:
        deployment.dispatch_many(5, in_thread, engines=(engine,))
    deployment.wait_for_ends(deadline=2 * PATIENCE)
    assert [worker.count("message.rejected") for worker in workers] == [0, 0]
    assert {handle.job().epoch for handle in deployment.handles} == {1}
    assert old in [key.kid for key in ledger.signing_keys()]

    # Offers that the revoked key signed wait in both queues while no worker serves them.
    assert [worker.process.terminate(PATIENCE) for worker in workers] == [0, 0]
    began = monotonic()
    late = [
        deployment.dispatch(in_thread, engines=(engine,), pickup=timedelta(seconds=3))
        for engine in ENGINES
    ]
    assert ledger.revoke_key(new)
    again = deployment.workers("threads")
    deployment.wait_for_ends(deadline=2 * PATIENCE)

    assert all(handle.job().epoch > 1 for handle in late), monotonic() - began
    assert_promises_kept(deployment)
    assert all(worker.process.is_running for worker in again)
