"""Dispatchers as dependencies of FastAPI; their transaction is tried with the page."""

import asyncio
from typing import Annotated

from fastapi import Depends, FastAPI

from failsoft.api import AsyncDispatcher
from failsoft.contrib.starlette import (
    Dispatch,
    SessionDispatcher,
    get_dispatcher,
    session_dispatcher,
)
from tests.contrib.apps.orders import Order, pay
from tests.contrib.starlette.serving import served
from tests.unit.support.memory_app import MemoryApp

made: list[object] = []


def get_session() -> object:
    made.append(object())
    return made[-1]


app = FastAPI()


@app.post("/")
async def order(dispatcher: Dispatch) -> str:
    return (await dispatcher.dispatch(pay, Order())).id


@app.post("/sessions")
def sessions(
    session: Annotated[object, Depends(get_session)],
    dispatcher: Annotated[SessionDispatcher, Depends(session_dispatcher(get_session))],
) -> bool:
    return dispatcher.session is session


def test_a_test_overrides_the_dispatcher() -> None:
    memory = MemoryApp()
    app.dependency_overrides[get_dispatcher] = lambda: AsyncDispatcher(memory.dispatcher)

    async def serve() -> tuple[str, bool]:
        async with served(app) as client:
            return (await client.post("/")).json(), (await client.post("/sessions")).json()

    try:
        job_id, is_the_same = asyncio.run(serve())
    finally:
        app.dependency_overrides.clear()

    assert [job.id for job in memory.ledger.list_jobs()] == [job_id]
    assert is_the_same is True
    assert len(made) == 1
