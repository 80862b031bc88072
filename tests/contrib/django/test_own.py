"""Django's own tests of tasks hold with our backend in the place of its own."""

import sys
import unittest
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import django
import pytest
from django.test import SimpleTestCase, override_settings

from failsoft.contrib.django import FailsoftBackend
from tests.contrib.django.own_tests import own_tests

BACKEND = "failsoft.contrib.django.FailsoftBackend"
#: What cannot hold for another backend than those that the tests name, and why.
LEFT_OUT = {
    "test_tasks.TaskTestCase": {
        "test_using_correct_backend": "expects DummyBackend",
        "test_get_backend": "expects DummyBackend",
        "test_enqueue_task": "looks into DummyBackend.results",
        "test_enqueue_task_async": "looks into DummyBackend.results",
    },
    "test_custom_backend.CustomTaskTestCase": {},
}

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        django.VERSION < (6, 0), reason="Django has its tasks from 6.0 on; run make test-django"
    ),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('django') / 'ledger.db'}"


@pytest.fixture(scope="module")
def theirs() -> Iterator[Any]:
    sys.path.insert(0, str(own_tests()))
    modules = ("tasks", "tasks.test_custom_backend", "tasks.test_tasks")
    first, *_ = [import_module(name) for name in modules]
    yield first
    sys.path.pop(0)


class CustomTaskBackend(FailsoftBackend):
    """Has the task class of Django's test, which is set when that is imported."""


def cases(theirs: Any) -> dict[str, type[SimpleTestCase]]:
    CustomTaskBackend.task_class = theirs.test_custom_backend.CustomTask
    path = f"{CustomTaskBackend.__module__}.{CustomTaskBackend.__qualname__}"
    sys.modules.setdefault(CustomTaskBackend.__module__, sys.modules[__name__])
    ours = {
        "default": {"BACKEND": BACKEND, "QUEUES": ["default", "queue_1"]},
        "immediate": {
            "BACKEND": "django.tasks.backends.immediate.ImmediateBackend",
            "QUEUES": [],
        },
        "missing": {"BACKEND": "does.not.exist"},
    }
    custom = {"default": {"BACKEND": path, "QUEUES": ["default", "high"]}}

    @override_settings(TASKS=ours)
    class TaskTestCase(theirs.test_tasks.TaskTestCase):  # type: ignore[name-defined,misc]
        def setUp(self) -> None:
            """Leave the ledger as it is."""

    @override_settings(TASKS=custom)
    class CustomTaskTestCase(
        theirs.test_custom_backend.CustomTaskTestCase,  # type: ignore[name-defined,misc]
    ):
        """With the custom task on our backend."""

    return {
        "test_tasks.TaskTestCase": TaskTestCase,
        "test_custom_backend.CustomTaskTestCase": CustomTaskTestCase,
    }


@pytest.mark.parametrize("name", LEFT_OUT)
def test_django_s_own_tests_hold(name: str, theirs: Any) -> None:
    left_out = LEFT_OUT[name]
    case = cases(theirs)[name]
    names = unittest.defaultTestLoader.getTestCaseNames(case)
    assert set(left_out) <= set(names)
    suite = unittest.TestSuite(case(each) for each in names if each not in left_out)
    ran = suite.countTestCases()

    result = unittest.TextTestRunner().run(suite)

    assert result.wasSuccessful(), [trace for _, trace in (*result.failures, *result.errors)]
    assert result.testsRun == ran > 0
