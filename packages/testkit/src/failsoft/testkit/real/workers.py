"""The worker processes of one test, as the test's process sees them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from failsoft.testkit.real.channel import Channel, Frame
from failsoft.testkit.real.template import Template
from failsoft.testkit.real.worker import Order

#: How long a process may take to start, and one that serves to get a message: one that its broker
#: lost is waited for so long once.
START_SECONDS, PATIENCE_SECONDS = 60.0, 5.0
#: How long a process may take to stop.
STOP_SECONDS = 20.0


@dataclass
class RealWorker:
    """A worker process.

    Attributes:
        queue: The name of the queue.
        received: Called with each message of the process, but those that wait.
        holds: The id of the job whose message waits at its gate; None for none.
        is_serving: Whether it has reported that it takes messages.
        has_ended: Whether the process is gone.
        is_doomed: Whether it came to a crash point at which it, or its ledger, was to end.
    """

    engine: str
    queue: str
    boot_id: str
    log: Path
    received: Callable[["RealWorker", Frame], object]
    holds: str | None = None
    is_serving: bool = False
    has_ended: bool = False
    is_doomed: bool = False
    pid: int = 0
    ended: Frame | None = field(default=None, repr=False)
    _channel: Channel | None = field(default=None, repr=False)

    def start(self, template: Template, order: Order) -> None:
        """Start the process."""
        self.pid, end = template.fork(order)
        self._channel = Channel(end)

    def send(self, what: str, **more: object) -> None:
        """Send the process a message."""
        self.channel.send(what, **more)

    def listen(self, seconds: float = 0.0) -> bool:
        """Take in one message of the process; return whether one came in time."""
        if self.has_ended:
            return False
        try:
            frame = self.channel.receive(seconds)
        except TimeoutError:
            return False
        if frame is None:
            self.has_ended = True
        elif frame["what"] == "serving":
            self.is_serving = True
        elif frame["what"] == "message":
            self.holds = str(frame["job_id"])
        elif frame["what"] == "ended":
            self.ended = frame
        else:
            self.is_doomed = self.is_doomed or frame["what"] == "reached"
            self.received(self, frame)
        return True

    def await_message(self) -> bool:
        """Wait for a message that was sent to its queue; return whether it holds one.

        Raises:
            RuntimeError: The process did not start; with the end of its log.
        """
        ends, was_serving = time.monotonic() + START_SECONDS, self.is_serving
        if was_serving:
            ends = time.monotonic() + PATIENCE_SECONDS
        while self._waits() and time.monotonic() < ends:
            self.listen(min(PATIENCE_SECONDS, ends - time.monotonic()))
            if self.is_serving and not was_serving:
                was_serving, ends = True, time.monotonic() + PATIENCE_SECONDS
        has_died = self.has_ended and self.is_doomed
        if (self._waits() or self.has_ended) and not was_serving and not has_died:
            raise RuntimeError(self.failure("it did not serve its queue in time"))
        return self.holds is not None

    def process(
        self, traps: Sequence[Mapping[str, object]], modules: Sequence[str]
    ) -> Frame | None:
        """Let the message in that it holds; return how that ended, None if the process died."""
        self._begin_anew()
        self.send("process", traps=traps, modules=modules)
        while self.ended is None and not self.has_ended:
            self.listen(PATIENCE_SECONDS)
        return self.ended

    def stop(self) -> None:
        """Let it stop as at SIGTERM, and wait for its end."""
        self.send("stop")
        self._await_end()
        self.channel.close()

    def close(self) -> None:
        """End it at once."""
        self.channel.end()
        self._await_end()
        self.channel.close()

    def failure(self, why: str) -> str:
        """Return what to say of a process that does not work, with the end of its log."""
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-25:])
        return f"the worker of {self.engine} for {self.queue}: {why}; the end of its log:\n{tail}"

    @property
    def channel(self) -> Channel:
        """The channel to the process."""
        if self._channel is None:
            raise RuntimeError("expected a worker process that was started")
        return self._channel

    def _begin_anew(self) -> None:
        """Hold no message, and forget the last end."""
        self.holds = self.ended = None

    def _waits(self) -> bool:
        """Return whether it lives and holds no message."""
        return self.holds is None and not self.has_ended

    def _await_end(self) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        while not self.has_ended and time.monotonic() < deadline:
            self.listen(deadline - time.monotonic())
