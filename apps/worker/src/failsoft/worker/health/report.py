"""What a supervisor reports of itself and of its posts.

Its loop notes what happens; the probes are answered from the notes, in other threads. No probe uses
a server: the processes report that they serve, and an outage only stops those reports. So a ledger
or a broker that is away makes a worker not ready, and leaves it live (rule 30).
"""

import time
from collections.abc import Callable, Mapping, Sequence
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


class PostReport:
    """The state of one post; several processes for one queue are as many posts.

    Args:
        label: Its name for people, as `rq:default`.
        now: A clock that never goes back.
    """

    def __init__(self, label: str, now: Callable[[], float] = time.monotonic) -> None:
        self.label = label
        self.has_started: bool = False
        self._now = now
        self._served_at: float | None = None
        # Replaced as a whole, because another thread reads it.
        self._crashed_at: tuple[float, ...] = ()

    def heard(self, beats: bytes) -> None:
        """Note what its process has reported, if anything."""
        if beats:
            self.has_started = True
        if SERVING in beats:
            self._served_at = self._now()

    def ended(self, status: int) -> None:
        """Note that its process has ended, with its exit status in `subprocess`."""
        now = self._now()
        self._served_at = None
        if status in OUTAGES:
            # It started, as far as it can be by its own means.
            self.has_started = True
        if status not in ORDERLY:
            recent = [each for each in self._crashed_at if now - each < WINDOW_SECONDS]
            self._crashed_at = (*recent, now)

    def has_served_within(self, seconds: float) -> bool:
        """Return whether it has reported that it serves, and its process goes on."""
        served_at = self._served_at
        return served_at is not None and self._now() - served_at <= seconds

    def is_in_crash_loop(self) -> bool:
        """Return whether its processes crash again and again."""
        now = self._now()
        return sum(now - each < WINDOW_SECONDS for each in self._crashed_at) > MOST_CRASHES


class HealthReport:
    """The state of a supervisor and its posts.

    Args:
        posts: Its posts.
        ttl: How long a post counts as serving after it last reported that it serves.
        now: A clock that never goes back.
    """

    def __init__(
        self,
        posts: Sequence[PostReport],
        ttl: timedelta,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._posts = posts
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

    def livez(self) -> Sequence[str]:
        """Return why a restart of the supervisor might help: its loop is stuck, a post crashes."""
        if self._stopping:
            # That is limited by the grace, after which it kills them.
            return ()
        if self._now() - self._turned_at > STUCK_SECONDS:
            return [f"the supervisor's loop has not turned for {STUCK_SECONDS:g} s"]
        return [
            f"{post.label} crashed more than {MOST_CRASHES} times within {WINDOW_SECONDS:g} s"
            for post in self._posts
            if post.is_in_crash_loop()
        ]

    def readyz(self) -> Sequence[str]:
        """Return why not every post serves."""
        if self._stopping:
            return ["the supervisor stops"]
        return [
            f"{post.label} has not served within {self._ttl:g} s"
            for post in self._posts
            if not post.has_served_within(self._ttl)
        ]

    def startupz(self) -> Sequence[str]:
        """Return which posts have not come up yet; one that found a server away has."""
        return [f"{post.label} has not come up" for post in self._posts if not post.has_started]

    @property
    def probes(self) -> Mapping[str, Probe]:
        """Return what answers each probe, by its path."""
        return {"/livez": self.livez, "/readyz": self.readyz, "/startupz": self.startupz}
