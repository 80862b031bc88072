"""News for open pages: who gets them, how many, and what they say."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, cast

import pytest

from failsoft.console.live import stream
from failsoft.console.live.poller import Poller
from failsoft.console.settings import ConsoleSettings
from failsoft.ledger import SqlLedger
from failsoft.testing.ledger_suite.fixtures import waiting
from tests.console.conftest import Shown
from tests.servers.processes import PATIENCE

Events = AsyncIterator[str]


async def _until(events: Events, text: str) -> list[str]:
    """Read a stream until an event has a text."""
    read: list[str] = []
    async with asyncio.timeout(PATIENCE):
        async for event in events:
            read.append(event)
            if text in event:
                return read
    return read


def _events(poller: Poller, *topics: str) -> Any:
    return aclosing(cast("Any", stream._events(poller, frozenset(topics))))


def test_a_page_is_sent_what_has_changed_and_nothing_else(shown: Shown) -> None:
    ledger, job_id = shown.ledger, shown.scene.scheduled

    async def follow() -> None:
        poller = Poller(shown.surroundings.ledger)
        mine, other = f"job:{job_id}", f"job:{shown.scene.failed}"
        async with _events(poller, mine, other) as events:
            await _until(events, "joined")
            await poller.change(PATIENCE)
            ledger.cancel(job_id, "ada")
            read = await _until(events, f"data: {mine}")
            while f"id: {poller.versions[mine]}" not in read[-1]:
                read = await _until(events, f"data: {mine}")
            assert poller.streams == 1
        assert poller.streams == 0

    asyncio.run(follow())


def test_that_the_ledger_is_away_is_news(shown: Shown) -> None:
    async def follow() -> None:
        poller = Poller(shown.surroundings.ledger)
        async with _events(poller, "overview") as events:
            await _until(events, "data: overview")
            shown.surroundings.is_away = True
            await _until(events, "data: overview")
            shown.surroundings.is_away = False
            await _until(events, "data: overview")

    asyncio.run(follow())


def test_one_look_a_second_serves_all_pages_of_the_process(
    make_ledger: Callable[[], SqlLedger],
) -> None:
    ledger, looks = make_ledger(), [0]

    def opened() -> Any:
        looks[0] += 1
        return ledger

    async def follow() -> None:
        poller = Poller(opened)
        streams = [stream._events(poller, frozenset({"overview"})) for _ in range(200)]
        for each in streams:
            await anext(each)
        async with asyncio.timeout(PATIENCE):
            while not poller.versions:
                await poller.change(PATIENCE)
            before, had = looks[0], poller.versions
            waiting(ledger)
            while poller.versions == had:
                await poller.change(PATIENCE)
        assert looks[0] - before < 20
        for each in streams:
            await cast("Any", each).aclose()
        assert poller.streams == 0

    asyncio.run(follow())


def test_the_page_after_the_last_stream_that_there_is_room_for_polls(
    shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if so many pages were open: none is left here.
    monkeypatch.setattr(stream, "MOST_STREAMS", 0)

    refused = shown.client().get("/live?topics=overview")

    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "30"


@pytest.mark.parametrize("topics", ["x", "job:", "job:a b", "overview,x", ",", "job:" + "a" * 129])
def test_what_is_no_topic_is_refused(shown: Shown, topics: str) -> None:
    assert shown.client().get("/live", params={"topics": topics}).status_code == 400


def test_a_program_that_cannot_send_news_says_so(shown: Shown) -> None:
    shown.surroundings.settings = ConsoleSettings(live=False)
    client = shown.client()

    assert client.get("/live").status_code == 404
    assert "hx-sse" not in client.get("/").text
