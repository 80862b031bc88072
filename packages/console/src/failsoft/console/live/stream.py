"""`/live`: an event for each topic that has changed."""

import re
from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from failsoft.console.call import Call
from failsoft.console.live.poller import OVERVIEW, Poller
from failsoft.console.refusal import RefusedError

#: So many pages are sent news at once; others ask every few seconds.
MOST_STREAMS = 200
#: A stream without news says so often that it is there, and lasts no longer than this.
HEARTBEAT_SECONDS = 15.0
MOST_HEARTBEATS = 240
_TOPIC = re.compile(r"overview|job:[A-Za-z0-9._:@=-]{1,128}")
MOST_TOPICS = 8


class Live:
    """The streams of one console."""

    def __init__(self) -> None:
        self._poller: Poller | None = None

    async def stream(self, call: Call) -> Response:
        """`GET /live?topics=overview,job:ID`."""
        if not call.site.settings.live:
            raise RefusedError(404, "expected a server that can send news, got one that cannot")
        topics = _topics(call.request.query_params.get("topics", OVERVIEW))
        if self._poller is None:
            self._poller = Poller(call.site.environment.reading)
        if self._poller.streams >= MOST_STREAMS:
            raise RefusedError(
                503,
                f"expected at most {MOST_STREAMS} open pages, got another; it polls instead",
                {"Retry-After": "30"},
            )
        return StreamingResponse(
            _events(self._poller, topics),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"},
        )


async def _events(poller: Poller, topics: frozenset[str]) -> AsyncIterator[str]:
    poller.join(topics)
    try:
        sent = {topic: poller.versions.get(topic) for topic in topics}
        yield "event: joined\ndata: \n\n"
        for _ in range(MOST_HEARTBEATS):
            await poller.change(HEARTBEAT_SECONDS)
            now = {topic: poller.versions.get(topic) for topic in topics}
            for topic in sorted(topics):
                if now[topic] != sent[topic]:
                    yield f"id: {now[topic]}\nevent: changed\ndata: {topic}\n\n"
            yield "event: alive\ndata: \n\n"
            sent = now
    finally:
        poller.leave(topics)


def _topics(text: str) -> frozenset[str]:
    topics = frozenset(text.split(","))
    if len(topics) > MOST_TOPICS or not all(_TOPIC.fullmatch(topic) for topic in topics):
        raise RefusedError(400, f"expected at most {MOST_TOPICS} topics, as overview or job:ID")
    return topics
