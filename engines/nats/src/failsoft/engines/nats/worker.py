"""The half that works: one pull consumer of the queue's stream, which fills the slots.

A message is acknowledged as soon as the ledger has decided about it, with an answer of JetStream's
that it is gone. From the claim on the lease protects the job, however long it runs.
"""

import asyncio
import threading
from concurrent.futures import Future
from contextlib import suppress

from failsoft.engine_api import EngineError, EngineSite, Link, Slots, WorkerPost
from failsoft.engines.nats import streams
from failsoft.engines.nats.connection import close, connect
from failsoft.engines.nats.settings import NatsSettings
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError

#: How long one look for a message or for a free slot takes, in seconds.
FETCH_SECONDS = 0.5
#: How long an answer of JetStream's may take, in seconds.
ANSWER_SECONDS = 2.0
#: The pause before NATS is tried again, and before a message is that nothing was decided about.
RETRY_SECONDS = 0.5
#: How long JetStream waits for an acknowledgement before it delivers again, in seconds.
ACK_WAIT_SECONDS = 30
#: How long the acknowledgements of what was just claimed may take at the end, in seconds.
SETTLE_SECONDS = 1.0


class NatsWorker:
    """`EngineWorker` of NATS JetStream."""

    def __init__(self, site: EngineSite[NatsSettings], post: WorkerPost) -> None:
        self._settings = site.settings
        self._name = site.queue_name(post.queue)
        self._missing = streams.missing(self._name, site.name)
        self._slots = Slots(post)
        self._link = Link(f"NATS ({site.settings.servers})")
        self._acknowledging: set[asyncio.Task[None]] = set()
        self._stopping = threading.Event()

    def run(self, stopping: threading.Event) -> None:
        """Take messages until `stopping` is set; then wait for what runs."""
        self._stopping = stopping
        asyncio.run(self._run())

    def is_serving(self) -> bool:
        """Return whether NATS answers."""
        return self._link.is_up

    async def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    await self._serve()
                # A connection that ends cancels what waits for a message.
                except (EngineError, NatsError, OSError, asyncio.CancelledError) as error:
                    self._link.lost(str(error) or type(error).__name__)
                    await asyncio.to_thread(self._stopping.wait, RETRY_SECONDS)
        finally:
            await asyncio.to_thread(self._slots.close)
            await asyncio.gather(*self._acknowledging)

    async def _serve(self) -> None:
        """Work over one connection until it ends, or the worker is to stop."""
        client = await connect(self._settings.client())
        try:
            inbox = await self._subscribe(client.jetstream(timeout=ANSWER_SECONDS))
            self._link.answered()
            while client.is_connected and not self._stopping.is_set():
                await self._turn(inbox)
            if not client.is_connected:
                self._link.lost(client.last_error or "the connection was closed")
            elif self._acknowledging:
                await asyncio.wait(self._acknowledging, timeout=SETTLE_SECONDS)
        finally:
            await close(client)

    async def _subscribe(self, jetstream: JetStreamContext) -> JetStreamContext.PullSubscription:
        if self._settings.makes_streams:
            await streams.create(jetstream, self._name, self._settings)
        config = ConsumerConfig(ack_wait=ACK_WAIT_SECONDS, max_deliver=-1)
        try:
            return await jetstream.pull_subscribe(
                self._name, durable=streams.CONSUMER, stream=self._name, config=config
            )
        except NotFoundError:
            raise self._missing from None

    async def _turn(self, inbox: JetStreamContext.PullSubscription) -> None:
        if not (
            self._slots.reserve(0) or await asyncio.to_thread(self._slots.reserve, FETCH_SECONDS)
        ):
            return
        try:
            (message,) = await inbox.fetch(1, timeout=FETCH_SECONDS)
        except TimeoutError:
            self._slots.release()
            return
        except BaseException:
            self._slots.release()
            raise
        decided = Future[bool]()
        is_probe = streams.PROBE in (message.headers or {})
        if is_probe or self._stopping.is_set():
            self._slots.release()
            decided.set_result(is_probe)
        else:
            self._slots.submit(message.data, decided.set_result)
        task = asyncio.create_task(self._acknowledge(message, decided))
        self._acknowledging.add(task)
        task.add_done_callback(self._acknowledging.discard)

    async def _acknowledge(self, message: Msg, decided: Future[bool]) -> None:
        is_decided = await asyncio.wrap_future(decided)
        # Without an acknowledgement it is delivered again, and the ledger finds it stale.
        with suppress(NatsError, OSError, asyncio.CancelledError):
            if is_decided:
                await message.ack_sync(timeout=ANSWER_SECONDS)
            else:
                await message.nak(None if self._stopping.is_set() else RETRY_SECONDS)
