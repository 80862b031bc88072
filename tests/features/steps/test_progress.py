"""`ctx.progress` is read by the handle, and costs few commits."""

from tests.deployments.shared import EngineDeployment
from tests.features.jobs.steps.progress import Words, progress_words


def test_the_last_word_of_a_job_is_read(deployment: EngineDeployment) -> None:
    handle = deployment.dispatch(progress_words, Words(count=500))

    ended = deployment.wait_for(handle)

    found = handle.progress()
    assert found is not None
    assert (found.done, found.total, found.note) == (500, 500, "word 499")
    assert ended.revision < 50
