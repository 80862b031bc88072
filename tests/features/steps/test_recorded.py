"""What a job would decide differently the second time is recorded; a `once` step begins once."""

from pathlib import Path

import pytest

from failsoft.job_engine import JobDefinition
from tests.deployments.shared import EngineDeployment
from tests.features.jobs.steps.recorded import Draw, call, call_async, draw, transfer


def test_a_moment_a_uuid_and_a_random_number_are_the_same_in_every_attempt(
    deployment: EngineDeployment, tmp_path: Path
) -> None:
    handle = deployment.dispatch(draw, Draw(drawn=tmp_path / "drawn"))

    second = handle.result()

    (first,) = (tmp_path / "drawn").read_text().splitlines()
    assert second == first
    assert handle.job().errors == 1


def test_a_once_step_in_doubt_is_found_out_and_not_begun_again(
    deployment: EngineDeployment, tmp_path: Path
) -> None:
    handle = deployment.dispatch(transfer, Draw(drawn=tmp_path / "sent"))

    assert handle.result() == "found"
    assert (tmp_path / "sent").read_text() == "sent\n"


@pytest.mark.parametrize("job", [call, call_async], ids=lambda job: job.name)
def test_a_once_step_that_was_not_done_is_begun_again(
    deployment: EngineDeployment, job: JobDefinition[Draw, str], tmp_path: Path
) -> None:
    handle = deployment.dispatch(job, Draw(drawn=tmp_path / "calls"))

    assert handle.result() == "sent"
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls == ["dialled 1", "looked 2", "dialled 2", "sent"]
    assert handle.job().errors == 1
