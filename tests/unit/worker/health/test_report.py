"""What each probe says of what a supervisor has noted."""

from datetime import timedelta

import pytest

from failsoft.worker.exit_codes import CONFIG, OK, TRY_AGAIN, UNAVAILABLE
from failsoft.worker.health.report import (
    MOST_CRASHES,
    STUCK_SECONDS,
    WINDOW_SECONDS,
    HealthReport,
    PostReport,
)
from failsoft.worker.processes.beats import SERVING, UP

POST, OTHER = "rq:default", "dramatiq:default"
TTL = 10.0


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def post(clock: Clock) -> PostReport:
    return PostReport(POST, clock)


@pytest.fixture
def other(clock: Clock) -> PostReport:
    return PostReport(OTHER, clock)


@pytest.fixture
def report(clock: Clock, post: PostReport, other: PostReport) -> HealthReport:
    return HealthReport([post, other], timedelta(seconds=TTL), clock)


def test_a_supervisor_that_begins_is_live_and_neither_started_nor_ready(
    report: HealthReport,
) -> None:
    assert report.livez() == []
    assert report.startupz() == [f"{POST} has not come up", f"{OTHER} has not come up"]
    assert len(report.readyz()) == 2


def test_posts_that_are_up_have_started_and_are_not_ready(
    report: HealthReport, post: PostReport, other: PostReport
) -> None:
    post.heard(UP)
    other.heard(UP)

    assert report.startupz() == []
    assert len(report.readyz()) == 2


def test_a_post_is_ready_for_as_long_as_its_heartbeat_counts(
    report: HealthReport, post: PostReport, other: PostReport, clock: Clock
) -> None:
    post.heard(UP + SERVING)
    other.heard(SERVING)
    assert report.readyz() == []

    clock.now += TTL
    post.heard(SERVING)
    clock.now += 0.1

    assert report.readyz() == [f"{OTHER} has not served within 10 s"]


def test_a_post_whose_process_ends_is_not_ready_at_once(
    report: HealthReport, post: PostReport, other: PostReport
) -> None:
    post.heard(SERVING)
    other.heard(SERVING)

    post.ended(OK)

    assert report.readyz() == [f"{POST} has not served within 10 s"]
    assert report.startupz() == []


@pytest.mark.parametrize("status", [UNAVAILABLE, TRY_AGAIN])
def test_a_post_that_finds_a_server_away_has_started(
    report: HealthReport, post: PostReport, status: int
) -> None:
    post.ended(status)

    assert report.startupz() == [f"{OTHER} has not come up"]


def test_a_loop_that_stands_still_is_not_live(report: HealthReport, clock: Clock) -> None:
    clock.now += STUCK_SECONDS + 0.1
    assert report.livez() == ["the supervisor's loop has not turned for 10 s"]

    report.turned()

    assert report.livez() == []


@pytest.mark.parametrize(
    ("status", "is_loop"),
    [(1, True), (-9, True)] + [(status, False) for status in (OK, CONFIG, UNAVAILABLE, TRY_AGAIN)],
)
def test_a_post_that_crashes_again_and_again_is_not_live(
    report: HealthReport, post: PostReport, status: int, *, is_loop: bool
) -> None:
    for _ in range(MOST_CRASHES):
        post.ended(status)
    assert report.livez() == []

    post.ended(status)

    assert report.livez() == ([f"{POST} crashed more than 5 times within 60 s"] if is_loop else [])


def test_crashes_of_several_posts_and_old_ones_are_no_loop(
    report: HealthReport, post: PostReport, other: PostReport, clock: Clock
) -> None:
    for _ in range(MOST_CRASHES):
        post.ended(1)
        other.ended(1)
    clock.now += WINDOW_SECONDS
    report.turned()
    post.ended(1)

    assert report.livez() == []


def test_a_supervisor_that_stops_is_live_and_not_ready(
    report: HealthReport, post: PostReport, other: PostReport, clock: Clock
) -> None:
    post.heard(SERVING)
    other.heard(SERVING)

    report.stops()
    clock.now += STUCK_SECONDS * 2

    assert report.livez() == ()
    assert report.readyz() == ["the supervisor stops"]


def test_several_processes_of_one_queue_are_as_many_posts(clock: Clock) -> None:
    posts = [PostReport(POST, clock), PostReport(POST, clock)]
    report = HealthReport(posts, timedelta(seconds=TTL), clock)

    posts[0].heard(SERVING)

    assert report.readyz() == [f"{POST} has not served within 10 s"]
