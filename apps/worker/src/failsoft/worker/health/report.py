"""What a supervisor reports of itself and of its posts.

Its loop notes what happens; the probes are answered from the notes, in other threads. No probe uses
a server: the processes report that they serve, and an outage only stops those reports. So a ledger
or a broker that is away makes a worker not ready, and leaves it live (rule 29).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from failsoft.worker.exit_codes import CONFIG, OK, TRY_AGAIN, UNAVAILABLE
from failsoft.worker.processes.beats import SERVING

#: How long the supervisor's loop may stand still before it counts as stuck, in seconds.
STUCK_SECONDS = 10.0
#: More crashes of one post than this within the window, in seconds, are a crash loop.
MOST_CRASHES, WINDOW_SECONDS = 5, 60.0
#: The exit statuses of a process that found a server away.
OUTAGES = (UNAVAILABLE, TRY_AGAIN)
#: The exit statuses that are no crash.
ORDERLY = (OK, CONFIG, *OUTAGES)

#: Answers one probe: the reasons why it fails, none where it passes.
Probe = Callable[[], Sequence[str]]


@dataclass(slots=True)
class _Post:
    has_started: bool = False
    served_at: float | None = None
    # Replaced as a whole, because another thread reads it.
    crashed_at: tuple[float, ...] = ()


class HealthReport:
    """The state of a supervisor and its posts.

    Args:
        posts: The labels of the posts, as `rq:default`.
        ttl: How long a post counts as serving after it last reported that it serves.
        now: A clock that never goes back.
    """

    def __init__(
        self, posts: Sequence[str], ttl: timedelta, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._posts: Mapping[str, _Post] = {post: _Post() for post in posts}
        self._ttl = ttl.total_seconds()
        self._now = now
        self._turned_at = now()
        self._stopping = False

    def turned(self) -> None:
        """Note that the supervisor's loop goes on."""
        self._turned_at = self._now()

    def stops(self) -> None:
        """Note that the supervisor stops its processes, for which its loop has ended."""
        self._stopping = True

    def heard(self, post: str, beats: bytes) -> None:
        """Note what the process of a post has reported, if anything."""
        if beats:
            self._posts[post].has_started = True
        if SERVING in beats:
            self._posts[post].served_at = self._now()

    def ended(self, post: str, status: int) -> None:
        """Note that the process of a post has ended, with its exit status in `subprocess`."""
        found, now = self._posts[post], self._now()
        found.served_at = None
        if status in OUTAGES:
            # It started, as far as it can be by its own means.
            found.has_started = True
        if status not in ORDERLY:
            recent = [each for each in found.crashed_at if now - each < WINDOW_SECONDS]
            found.crashed_at = (*recent, now)

    def livez(self) -> Sequence[str]:
        """Return why a restart of the supervisor might help: its loop is stuck, a post crashes."""
        if self._stopping:
            # That is limited by the grace, after which it kills them.
            return ()
        now = self._now()
        if now - self._turned_at > STUCK_SECONDS:
            return [f"the supervisor's loop has not turned for {STUCK_SECONDS:g} s"]
        return [
            f"{label} crashed more than {MOST_CRASHES} times within {WINDOW_SECONDS:g} s"
            for label, post in self._posts.items()
            if sum(now - each < WINDOW_SECONDS for each in post.crashed_at) > MOST_CRASHES
        ]

    def readyz(self) -> Sequence[str]:
        """Return why not every post serves."""
        if self._stopping:
            return ["the supervisor stops"]
        now = self._now()
        return [
            f"{label} has not served within {self._ttl:g} s"
            for label, post in self._posts.items()
            if post.served_at is None or now - post.served_at > self._ttl
        ]

    def startupz(self) -> Sequence[str]:
        """Return which posts have not come up yet; one that found a server away has."""
        return [
            f"{label} has not come up"
            for label, post in self._posts.items()
            if not post.has_started
        ]

    @property
    def probes(self) -> Mapping[str, Probe]:
        """Return what answers each probe, by its path."""
        return {"/livez": self.livez, "/readyz": self.readyz, "/startupz": self.startupz}
