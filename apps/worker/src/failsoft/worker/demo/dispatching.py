"""The demo's application: it dispatches, and names no engine."""

import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import count

from failsoft.api import Dispatcher
from failsoft.job_engine.jobs.data_sync.import_csv import import_csv
from failsoft.job_engine.jobs.default.deliver_webhook import Webhook, deliver_webhook
from failsoft.worker.demo.environment.airports import Airport, airports_csv, import_of
from failsoft.worker.demo.environment.env_settings import SECRET_NAME

#: How long an offer may wait for its claim before the rescuer looks into it.
PICKUP = timedelta(seconds=3)
#: What the import belongs to.
IMPORT = "airports"


class Application:
    """Dispatches webhooks and the import, and keeps their ids.

    Attributes:
        jobs: The ids of all jobs, in order.
        import_id: The id of the import.
        after_failback: The ids of the jobs dispatched after the first engine got offers again.
        failover: The time from the loss of its server until the fallback accepted a job.
        returned: How many messages of before its server had when it was started again.
    """

    def __init__(self, dispatcher: Dispatcher, receiver_url: str, fallback: str) -> None:
        self.jobs: list[str] = []
        self.import_id: str = ""
        self.after_failback: Sequence[str] = ()
        self.failover: timedelta | None = None
        self.returned: int = 0
        self._dispatcher = dispatcher
        self._fallback = fallback
        self._receiver_url = receiver_url
        self._number = count(1)
        self._lost_at: float | None = None

    def loses_primary(self) -> None:
        """Start to measure the failover; dispatching does not depend on it."""
        self._lost_at = time.monotonic()

    def dispatch_import(self) -> None:
        """Dispatch the import of the data set."""
        handle = self._dispatcher.dispatch(
            import_csv, import_of(airports_csv()), pickup=PICKUP, shard=IMPORT
        )
        self.jobs.append(handle.id)
        self.import_id = handle.id

    def dispatch_webhooks(
        self, airports: Sequence[Airport], within: timedelta = timedelta(0)
    ) -> Sequence[str]:
        """Dispatch a webhook about each airport, evenly over a span; return their ids."""
        return [self._dispatch_webhook(airport) for airport in _paced(airports, within)]

    def _dispatch_webhook(self, airport: Airport) -> str:
        data = {"number": next(self._number), **airport}
        webhook = Webhook.model_validate(
            {
                "url": self._receiver_url,
                "type": "airport.seen",
                "data": data,
                "secret_name": SECRET_NAME,
            }
        )
        # With several ledgers the jobs of a state are in one.
        shard = airport["state"] or airport["country"]
        handle = self._dispatcher.dispatch(deliver_webhook, webhook, pickup=PICKUP, shard=shard)
        self.jobs.append(handle.id)
        self._time_failover(handle.dispatched.engine)
        return handle.id

    def _time_failover(self, engine: str | None) -> None:
        if self._lost_at is not None and self.failover is None and engine == self._fallback:
            self.failover = timedelta(seconds=time.monotonic() - self._lost_at)


def _paced(airports: Sequence[Airport], within: timedelta) -> Iterator[Airport]:
    began = time.monotonic()
    for number, airport in enumerate(airports):
        due = began + within.total_seconds() * number / len(airports)
        time.sleep(max(0.0, due - time.monotonic()))
        yield airport
