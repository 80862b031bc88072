"""An app that dispatches while gunicorn loads it, and then in each process that is forked."""

import os
from typing import Any

from fastapi import FastAPI
from sqlalchemy import func, select

from failsoft.api import default_dispatcher, dispatch_job
from failsoft.contrib.starlette import Dispatch, failsoft_lifespan
from failsoft.ledger.database.compiled import execute
from tests.contrib.apps.orders import Order, pay

SESSION = select(func.pg_backend_pid().label("pid"))

dispatch_job(pay, Order(), job_id="of-the-master")
# As the page says: no transaction on SQLite may be open at the fork.
default_dispatcher().flush()


def session() -> int:
    """Return the session of this process at the ledger: PostgreSQL's process; 0 for SQLite."""
    database: Any = default_dispatcher()._ledger.database  # type: ignore[attr-defined]
    if database.is_sqlite:
        return 0
    return int(database.ask(lambda channel: execute(channel, SESSION, {}).rows[0].pid))


OF_THE_MASTER = session()

app = FastAPI(lifespan=failsoft_lifespan(jobs=["tests.contrib.apps.orders"]))


@app.post("/")
async def order(dispatcher: Dispatch) -> dict[str, Any]:
    """Dispatch, and return who did."""
    handle = await dispatcher.dispatch(pay, Order())
    return {"job": handle.id, "pid": os.getpid(), "session": session(), "master": OF_THE_MASTER}
