"""Runs: for each event and each function that it starts, calls until one is answered well."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, cast

import jcs

from failsoft.testing.inngest_server.apps import Apps, Function
from failsoft.testing.inngest_server.calls import Answer, CallError, call
from failsoft.testing.inngest_server.protocol import (
    ID_SECONDS,
    new_id,
    pause_before,
    sign,
)

#: How many runs that have ended are remembered.
REMEMBERED = 1000

_ENDED_WELL = range(200, 300)


@dataclass(slots=True)
class Run:
    """One event on its way to one function.

    Attributes:
        function: The function's id.
        event: The event.
        id: The run's own id.
        attempt: The number of its call, from 0 on.
        answers: The status of each call's answer; 0 where there was none.
        state: `waiting`, `calling`, `completed` or `failed`.
    """

    function: str
    event: Mapping[str, Any]
    id: str = field(default_factory=new_id)
    attempt: int = 0
    answers: list[int] = field(default_factory=list)
    state: str = "waiting"


class Runs:
    """Every run that has not ended, and the last that have.

    Args:
        apps: The functions.
        signing_key: What calls are signed with; they are not where it is empty.
        scale: What the pauses between calls are multiplied by.
    """

    def __init__(self, apps: Apps, signing_key: str, scale: float) -> None:
        self._apps = apps
        self._signing_key = signing_key
        self._scale = scale
        self._limits: dict[tuple[str, int], asyncio.Semaphore] = {}
        self._ids = OrderedDict[tuple[str, str], float]()
        self._tasks: set[asyncio.Task[None]] = set()
        self.open: dict[str, Run] = {}
        self.ended: deque[Run] = deque(maxlen=REMEMBERED)

    def start(self, event: Mapping[str, Any]) -> str:
        """Start a run of each function that the event starts, and return the event's id."""
        given = event.get("id") or ""
        event_id = given or new_id()
        whole = {"ts": int(time.time() * 1000), "user": {}, **event, "id": event_id}
        for function in self._apps.started_by(event["name"]):
            if given and self._came_before(function.id, given):
                continue
            run = Run(function.id, whole)
            self.open[run.id] = run
            task = asyncio.create_task(self._go(run))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return event_id

    async def call(
        self, url: str, body: bytes, headers: Mapping[str, str], method: str = "POST"
    ) -> Answer:
        """Call a function with a body, signed unless a signature is given.

        Raises:
            CallError: There is no answer.
        """
        sent = {"content-type": "application/json", **headers}
        if self._signing_key and "x-inngest-signature" not in sent:
            sent["x-inngest-signature"] = sign(self._signing_key, body, int(time.time()))
        return await call(method, url, body, sent)

    async def _go(self, run: Run) -> None:
        try:
            while (function := self._apps.function(run.function)) is not None:
                async with self._limit(function):
                    run.state = "calling"
                    pause = await self._attempt(run, function)
                if pause is None:
                    break
                run.state = "waiting"
                await asyncio.sleep(pause)
                run.attempt += 1
        finally:
            run.state = "completed" if run.state == "completed" else "failed"
            del self.open[run.id]
            self.ended.append(run)

    async def _attempt(self, run: Run, function: Function) -> float | None:
        """Make one call; return the pause until the next, None where none is to follow."""
        retry_after, may_repeat = None, True
        try:
            answer = await self.call(function.url, _body(run, function), _headers(run))
        except CallError:
            run.answers.append(0)
        else:
            is_sdk = "x-inngest-sdk" in answer.headers
            # An answer of a proxy's is none of the function's.
            is_well = answer.status in _ENDED_WELL and is_sdk
            run.answers.append(answer.status)
            if is_well:
                run.state = "completed"
                return None
            retry_after = answer.headers.get("retry-after")
            may_repeat = answer.headers.get("x-inngest-no-retry") != "true"
        if not may_repeat or run.attempt + 1 >= function.attempts:
            return None
        return pause_before(run.attempt, retry_after, self._scale)

    def _limit(self, function: Function) -> Any:
        if function.limit is None:
            return nullcontext()
        key = (function.id, function.limit)
        return self._limits.setdefault(key, asyncio.Semaphore(function.limit))

    def _came_before(self, function: str, event_id: str) -> bool:
        now = time.monotonic()
        while self._ids and next(iter(self._ids.values())) < now - ID_SECONDS:
            self._ids.popitem(last=False)
        if (function, event_id) in self._ids:
            return True
        self._ids[function, event_id] = now
        return False


def _body(run: Run, function: Function) -> bytes:
    body = jcs.canonicalize(
        {
            "ctx": {
                "attempt": run.attempt,
                "disable_immediate_execution": False,
                "env": "",
                "fn_id": function.id,
                "max_attempts": function.attempts,
                "run_id": run.id,
                "stack": {"current": 0, "stack": []},
                "step_id": "step",
                "use_api": False,
            },
            "defers": {},
            "event": run.event,
            "events": [run.event],
            "steps": {},
            "use_api": False,
            "version": -1,
        }
    )
    return cast("bytes", body)


def _headers(run: Run) -> Mapping[str, str]:
    return {
        "x-run-id": run.id,
        "x-request-id": new_id(),
        "x-inngest-job-id": run.id,
        "x-inngest-req-version": "-1",
        "x-inngest-step-id": "step",
    }
