"""New code is run over the steps of old jobs, and a change that would hold them is found."""

from pathlib import Path

import pytest

from failsoft.api import JobContext, dispatch_job, job
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.testkit import Testkit, replay, save_story
from tests.testkit.jobs import HOUR, File, Nothing, do, import_file, nap


def version(*names: str) -> AnyDefinition:
    """Return another version of the code of `import_file`."""

    def handler(payload: File, ctx: JobContext) -> int:
        for name in names:
            ctx.run(name, do, name)
        return 0

    return job(name="import_file")(handler)


@pytest.fixture
def story(failsoft: Testkit, tmp_path: Path, done: list[str]) -> Path:
    handle = dispatch_job(import_file, File())
    failsoft.die_after_step("load-2")
    failsoft.drain()
    path = tmp_path / "story.json"
    save_story(failsoft.ledger, handle.id, path)
    failsoft.travel(minutes=2)
    failsoft.drain()
    done.clear()
    return path


def test_the_same_code_goes_on(story: Path, done: list[str]) -> None:
    replayed = replay(story)

    assert (replayed.steps, replayed.goes_on, replayed.mismatch) == (
        *(("load-1", "load-2"), True, None),
    )
    assert done == []


def test_a_step_after_the_recorded_ones_is_harmless(story: Path) -> None:
    assert replay(story, version("load-1", "load-2", "check", "load-3")).goes_on


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (("load-2", "load-1", "load-3"), "place"),
        (("load-1", "check", "load-2", "load-3"), "'check'"),
        (("part-1", "load-2", "load-3"), "'part-1'"),
        (("load-1",), "ended without 'load-2'"),
    ],
)
def test_a_change_that_holds_the_job(story: Path, names: tuple[str, ...], text: str) -> None:
    replayed = replay(story, version(*names))

    assert not replayed.goes_on
    assert text in str(replayed.mismatch)


def test_a_sleep_is_passed_over(failsoft: Testkit, tmp_path: Path) -> None:
    handle = dispatch_job(nap, Nothing())
    failsoft.drain()
    save_story(failsoft.ledger, handle.id, tmp_path / "nap.json")

    assert replay(tmp_path / "nap.json").steps == ("before", "sleep")
    assert failsoft.assert_scheduled(nap, within=HOUR).id == handle.id


def test_what_is_no_story(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(AssertionError, match="got no job and no steps"):
        replay(tmp_path / "other.json")
    with pytest.raises(AssertionError, match=r"expected a job's story in .*none"):
        replay(tmp_path / "none.json")
