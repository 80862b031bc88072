"""Requests enqueue: `ATOMIC_REQUESTS` joins their transaction, and views may be coroutines."""

import asyncio
from collections.abc import Callable

import pytest
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path

from failsoft.dispatcher import default_dispatcher
from failsoft.job_engine.records.job import TryOutcome
from failsoft.worker.wiring import App
from tests.contrib.django.project.shop import tasks


def enqueues(request: HttpRequest) -> HttpResponse:
    return HttpResponse(tasks.add.enqueue(1).id)


def enqueues_and_raises(request: HttpRequest) -> HttpResponse:
    seen.append(tasks.add.enqueue(1).id)
    raise LookupError("after it was enqueued")


async def enqueues_in_a_coroutine(request: HttpRequest) -> HttpResponse:
    result = await tasks.add.aenqueue(1)
    await result.arefresh()
    return HttpResponse(result.id)


seen: list[str] = []
urlpatterns = [
    path("enqueue", enqueues),
    path("raise", enqueues_and_raises),
    path("async", enqueues_in_a_coroutine),
]


@pytest.fixture
def atomic(databases: None) -> None:
    """Have each request be a transaction."""
    connections["default"].settings_dict["ATOMIC_REQUESTS"] = True


@pytest.fixture
def request_of(app: App) -> Callable[[str], HttpResponse]:
    def request(place: str) -> HttpResponse:
        with override_settings(ROOT_URLCONF=__name__):
            return Client(raise_request_exception=False).get(place)

    return request


def test_a_request_that_ends_well_leaves_its_task(
    app: App, atomic: None, request_of: Callable[[str], HttpResponse]
) -> None:
    job_id = request_of("/enqueue").content.decode()

    app.dispatcher.flush()
    assert [each.outcome for each in app.ledger.tries(job_id)] == [TryOutcome.ACCEPTED]


def test_a_request_that_raises_leaves_none(
    app: App, atomic: None, request_of: Callable[[str], HttpResponse]
) -> None:
    assert request_of("/raise").status_code == 500

    assert not default_dispatcher().holds(seen.pop())


def test_without_atomic_requests_the_task_stays(
    app: App, request_of: Callable[[str], HttpResponse]
) -> None:
    assert request_of("/raise").status_code == 500

    assert default_dispatcher().holds(seen.pop())


def test_a_view_may_be_a_coroutine(app: App) -> None:
    async def get() -> str:
        with override_settings(ROOT_URLCONF=__name__):
            return (await AsyncClient().get("/async")).content.decode()

    job_id = asyncio.run(get())

    app.dispatcher.flush()
    assert [each.outcome for each in app.ledger.tries(job_id)] == [TryOutcome.ACCEPTED]
