"""The plug-in does nothing in tests that do not request its fixture, and leaves nothing behind."""

import pytest

pytest_plugins = ["pytester"]

JOBS = """
import pytest
from pydantic import BaseModel
from failsoft.api import JobContext, dispatch_job, job
from failsoft.dispatcher.default import dispatcher_in_use

class Nothing(BaseModel):
    pass

@job()
def nothing(payload: Nothing, ctx: JobContext) -> None:
    return None
"""
LEFT_BEHIND = f"""{JOBS}
def test_it(failsoft):
    dispatch_job(nothing, Nothing())
"""


def test_it_is_inert_without_the_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it():
            assert "failsoft.testkit.plugin" in sys.modules
            loaded = {name for name in sys.modules if name.startswith("failsoft.")}
            assert loaded <= {"failsoft.testkit", "failsoft.testkit.plugin", "failsoft.testing",
                              "failsoft.testing.pytest_plugin"}
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_nothing_needs_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass")
    pytester.runpytest_subprocess("-p", "no:failsoft").assert_outcomes(passed=1)


def test_each_test_has_its_own_and_leaves_no_dispatcher(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""{JOBS}
def test_one(failsoft):
    dispatch_job(nothing, Nothing())
    failsoft.drain()

def test_two(failsoft):
    assert failsoft.dispatched() == []

def test_three():
    assert dispatcher_in_use() is None
"""
    )
    pytester.runpytest_subprocess("-n", "2").assert_outcomes(passed=3)


def test_jobs_left_behind_are_warned_of(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(LEFT_BEHIND)

    found = pytester.runpytest_subprocess()

    found.assert_outcomes(passed=1, warnings=1)
    found.stdout.fnmatch_lines(
        ["*UnfinishedJobs: the test ended with 1 unfinished: nothing * offered; drain()*"]
    )


def test_jobs_left_behind_are_an_error_if_strict(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nfailsoft_strict = true")
    pytester.makepyfile(LEFT_BEHIND)

    pytester.runpytest_subprocess().assert_outcomes(passed=1, errors=1)


def test_schedules_of_named_modules_fire(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nfailsoft_jobs = shop_jobs\npythonpath = .")
    pytester.makepyfile(
        shop_jobs=f"""{JOBS}
from datetime import timedelta
from failsoft.api import Every

@job(schedule=Every(timedelta(hours=1)))
def hourly(payload: Nothing, ctx: JobContext) -> None:
    return None
""",
        test_shop="""
from shop_jobs import hourly

def test_it(failsoft):
    failsoft.travel(hours=2)
    failsoft.drain()
    failsoft.assert_dispatched(hourly, count=2)
""",
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_a_dispatcher_in_use_is_not_replaced(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
import pytest
from failsoft.api import use_dispatcher

@pytest.fixture(autouse=True)
def own():
    use_dispatcher(object())
    yield
    use_dispatcher(None)
"""
    )
    pytester.makepyfile("def test_it(failsoft): pass")

    found = pytester.runpytest_subprocess()

    found.assert_outcomes(errors=1)
    found.stdout.fnmatch_lines(["*use_dispatcher was called by */conftest.py:6; the fixture*"])
