"""The half that offers: an event of the queue's name, posted to Inngest's event API.

Without an `id` of its own: for a day Inngest would take an event with the id of an earlier one, and
start nothing (ING-02). Posted once: the SDK's `send` tries five times, with pauses (ING-01).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from failsoft.engine_api import (
    Deadline,
    EngineError,
    EngineHealth,
    EngineRefusedError,
    EngineSite,
    Message,
    OfferRefusedError,
    OfferUncertainError,
    QueueProfile,
)
from failsoft.engines.inngest.client import Answer, Client
from failsoft.engines.inngest.errors import answer_error
from failsoft.engines.inngest.functions import PROBE, event_name
from failsoft.engines.inngest.settings import InngestSettings

#: The share of an offer's time that Inngest may take for its answer.
ANSWER_SHARE = 0.9
#: How many events one request holds: each is at most 1,200 bytes, and a request at most 256 KiB.
EVENTS = 200

Event = Mapping[str, Any]


class InngestEngine:
    """`EngineAdapter` of Inngest."""

    def __init__(self, site: EngineSite[InngestSettings]) -> None:
        self.name: str = site.name
        self._site = site
        self._client = Client(site.settings)

    def offer(self, message: Message, queue: QueueProfile, deadline: Deadline) -> None:
        """Post one event."""
        self._post([self._event(queue, message.to_wire())], deadline)

    def offer_many(
        self, messages: Sequence[Message], queue: QueueProfile, deadline: Deadline
    ) -> Sequence[EngineError | None]:
        """Post many events a request."""
        found = list[EngineError | None]()
        for start in range(0, len(messages), EVENTS):
            found += self._post_all(messages[start : start + EVENTS], queue, deadline)
        return found

    def probe(self, queue: QueueProfile, deadline: Deadline) -> EngineHealth:
        """Post an event of the queue's name that workers pass over.

        Inngest does not say how many events wait.
        """
        try:
            self._post([self._event(queue, {PROBE: True})], deadline)
        except OfferRefusedError as error:
            of_queue = not isinstance(error, EngineRefusedError)
            return EngineHealth(healthy=False, detail=str(error), is_refused=of_queue)
        except EngineError as error:
            return EngineHealth(healthy=False, detail=str(error))
        return EngineHealth(healthy=True, detail="posted an event")

    def withdraw(self, message: Message, queue: QueueProfile) -> None:
        """Leave the event: Inngest takes back none."""

    def close(self) -> None:
        """Close the connections; the next call opens others."""
        self._client.close()

    def _event(self, queue: QueueProfile, data: Mapping[str, Any]) -> Event:
        return {"name": event_name(self._site.queue_name(queue)), "data": data}

    def _post_all(
        self, messages: Sequence[Message], queue: QueueProfile, deadline: Deadline
    ) -> list[EngineError | None]:
        error = None
        try:
            self._post([self._event(queue, each.to_wire()) for each in messages], deadline)
        except EngineError as raised:
            error = raised
        return [error] * len(messages)

    def _post(self, events: Sequence[Event], deadline: Deadline) -> None:
        timeout = max(0.01, deadline.remaining() * ANSWER_SHARE)
        answer = self._client.send("POST", self._site.settings.events, events, timeout=timeout)
        error = answer_error(answer.status, answer.said)
        if error is not None:
            raise error
        if _taken(answer) != len(events):
            # Another server's page, at an address that is not Inngest's.
            raise OfferUncertainError(
                f"expected the ids of {len(events)} events of Inngest, got: {answer.said[:200]}"
            )


def _taken(answer: Answer) -> int:
    try:
        ids = json.loads(answer.body)["ids"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return 0
    return len(ids) if isinstance(ids, list) else 0
