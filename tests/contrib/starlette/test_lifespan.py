"""An app opens Failsoft when it starts, and closes it when it has ended."""

import asyncio
import logging
import warnings
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from failsoft.api import ConfigurationError
from failsoft.contrib.starlette import failsoft_lifespan, get_dispatcher
from failsoft.dispatcher import Dispatcher, default_dispatcher, opened_dispatcher, use_dispatcher
from failsoft.ledger import SqlLedger
from tests.contrib.apps.orders import Order, pay
from tests.contrib.starlette.serving import served
from tests.unit.support.memory_app import MemoryApp

ORDERS = "tests.contrib.apps.orders"


class Closed(Dispatcher):
    """Counts how often it was closed."""

    def __init__(self) -> None:
        app = MemoryApp()
        super().__init__(app.ledger, app.router, app.offerer, listener=app.events)
        self.times = 0

    def close(self) -> None:
        super().close()
        self.times += 1


async def order(request: Request) -> JSONResponse:
    handle = await (await get_dispatcher()).dispatch(pay, Order())
    return JSONResponse({"job": handle.id})


async def started(app: Starlette) -> None:
    """Start an app and end it."""
    async with served(app):
        pass


ROUTES = [Route("/", order, methods=["POST"])]


def test_it_is_open_before_the_first_request_and_closed_after_the_last(
    settings: pytest.MonkeyPatch, ledger: SqlLedger
) -> None:
    app = Starlette(routes=ROUTES, lifespan=failsoft_lifespan(jobs=[ORDERS]))
    assert opened_dispatcher() is None

    async def serve() -> str:
        async with served(app) as client:
            assert opened_dispatcher() is not None
            return str((await client.post("/")).json()["job"])

    job_id = asyncio.run(serve())

    # Written at the end, and not half a second later.
    assert [each.engine for each in ledger.tries(job_id)] == ["memory"]


def test_two_lifespans_have_the_same_dispatcher_and_the_last_one_closes_it(
    settings: pytest.MonkeyPatch,
) -> None:
    dispatcher = Closed()
    use_dispatcher(dispatcher)

    async def both() -> list[int]:
        times = []
        async with failsoft_lifespan()(None):
            async with failsoft_lifespan()(None):
                assert (await get_dispatcher()).blocking is dispatcher
            times.append(dispatcher.times)
        return [*times, dispatcher.times]

    assert asyncio.run(both()) == [0, 1]


def test_an_app_that_is_mounted_needs_no_lifespan(
    settings: pytest.MonkeyPatch, ledger: SqlLedger
) -> None:
    inner = Starlette(routes=ROUTES)
    outer = Starlette(routes=[Mount("/inner", inner)], lifespan=failsoft_lifespan())

    async def serve() -> str:
        async with served(outer) as client:
            return str((await client.post("/inner/")).json()["job"])

    assert ledger.get(asyncio.run(serve())).name == "contrib-pay"


def test_the_apps_own_lifespans_are_within_it(settings: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, bool]] = []
    dispatcher = Closed()
    use_dispatcher(dispatcher)

    def own(name: str) -> Any:
        @asynccontextmanager
        async def lifespan(app: object) -> AsyncIterator[Mapping[str, Any]]:
            seen.append((name, opened_dispatcher() is dispatcher))
            yield {name: app}
            seen.append((name, dispatcher.times == 0))

        return lifespan

    async def run() -> dict[str, Any]:
        async with failsoft_lifespan(lifespans=[own("a"), own("b")])(7) as state:
            return state

    assert asyncio.run(run()) == {"a": 7, "b": 7}
    assert seen == [("a", True), ("b", True), ("b", True), ("a", True)]
    assert dispatcher.times == 1


def test_what_fails_to_start_closes_what_was_opened(settings: pytest.MonkeyPatch) -> None:
    dispatcher = Closed()
    use_dispatcher(dispatcher)

    @asynccontextmanager
    async def broken(app: object) -> AsyncIterator[None]:
        raise OSError("no table")
        yield

    async def run() -> None:
        async with failsoft_lifespan(lifespans=[broken])(None):
            pass

    with pytest.raises(OSError, match="no table"):
        asyncio.run(run())
    assert dispatcher.times == 1


def test_a_ledger_that_is_away_keeps_no_app_from_starting(
    settings: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings.setenv("FAILSOFT_LEDGER_URL", "postgresql://nobody@127.0.0.1:1/none")
    settings.setenv("FAILSOFT_LEDGER_TIMEOUT", "100ms")

    with caplog.at_level(logging.WARNING):
        asyncio.run(started(Starlette(lifespan=failsoft_lifespan())))

    assert opened_dispatcher() is None
    assert "the ledger is away" in caplog.text


def test_a_module_that_does_not_import_stops_the_start(settings: pytest.MonkeyPatch) -> None:
    app = Starlette(lifespan=failsoft_lifespan(jobs=["tests.contrib.apps.nowhere"]))

    with pytest.raises(ConfigurationError, match="expected a job module that imports, got"):
        asyncio.run(started(app))


def test_a_wrong_setting_stops_the_start(settings: pytest.MonkeyPatch) -> None:
    settings.setenv("FAILSOFT_DISPATCH_BUDGET", "soon")

    with pytest.raises(ConfigurationError, match="FAILSOFT_DISPATCH_BUDGET"):
        asyncio.run(started(Starlette(lifespan=failsoft_lifespan())))


def test_a_module_without_jobs_is_named(
    settings: pytest.MonkeyPatch, ledger: SqlLedger, caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.run(started(Starlette(lifespan=failsoft_lifespan(jobs=["json"]))))

    assert "expected jobs in module json, got none" in caplog.text


def test_a_job_module_that_dispatches_at_import_gets_a_warning_with_its_line(
    settings: pytest.MonkeyPatch, ledger: SqlLedger
) -> None:
    module = Path(__file__).parents[1] / "apps" / "early.py"
    place = module.read_text().splitlines().index('dispatch_job(pay, Order(), job_id="early")') + 1

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(started(Starlette(lifespan=failsoft_lifespan(["tests.contrib.apps.early"]))))

    (found,) = [each for each in caught if "opens the dispatcher" in str(each.message)]
    assert (Path(found.filename), found.lineno) == (module, place)
    assert default_dispatcher() is opened_dispatcher()
