"""Django's own tests of tasks hold with RQ's server killed before, in and after each of them."""

import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import django
import pytest

from failsoft.job_engine.crash_points import HOOKS
from failsoft.job_engine.records.job import WorkerRecord
from tests.contrib.django.test_own import LEFT_OUT, cases, theirs
from tests.deployments.deployment import Deployment
from tests.servers.valkey import Valkey

__all__ = ["theirs"]

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        django.VERSION < (6, 0), reason="Django has its tasks from 6.0 on; run make test-django"
    ),
]


@contextmanager
def killed_before(server: Valkey) -> Iterator[None]:
    server.kill()
    yield


@contextmanager
def killed_during(server: Valkey) -> Iterator[None]:
    """Kill it while a job is offered: recorded, and on its way."""

    def kill(point: str) -> None:
        if point == "engine.before":
            server.kill()

    HOOKS.append(kill)
    try:
        yield
    finally:
        HOOKS.remove(kill)


@contextmanager
def killed_after(server: Valkey) -> Iterator[None]:
    yield
    server.kill()


@pytest.mark.parametrize("killed", [killed_before, killed_during, killed_after])
@pytest.mark.parametrize("name", LEFT_OUT)
def test_django_s_own_tests_hold_without_rq(  # noqa: PLR0917 - fixtures
    deployment: Deployment,
    redis: Valkey,
    theirs: Any,
    name: str,
    killed: Callable[[Valkey], Any],
    subtests: pytest.Subtests,
) -> None:
    for queue in ("default", "high", "queue_1"):
        for engine in ("rq", "ledger"):
            ghost = WorkerRecord(f"{engine}-{queue}", engine, queue, "here", 1, 8)
            deployment.app.ledger.beat(ghost, timedelta(hours=1))
    case = cases(theirs)[name]
    names = [
        each
        for each in unittest.defaultTestLoader.getTestCaseNames(case)
        if each not in LEFT_OUT[name]
    ]
    assert names
    for each in names:
        with subtests.test(msg=each):
            redis.start()
            result = unittest.TestResult()
            with killed(redis):
                unittest.TestSuite([case(each)]).run(result)
            assert result.wasSuccessful(), [*result.failures, *result.errors]
            expect_nothing_lost(deployment)


def expect_nothing_lost(deployment: Deployment) -> None:
    """Each job is there, with an engine that has it or a time at which it is offered again."""
    for job in deployment.app.ledger.list_jobs(limit=1000):
        assert job.engine is not None or job.run_at is not None, job
