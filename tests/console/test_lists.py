"""Lists: filters and cursors that are refused, pages that follow, and a ledger that is away."""

import re

import pytest

from failsoft.testing.ledger_suite.fixtures import new_job, plan
from tests.console.conftest import Shown


@pytest.mark.parametrize(
    "query",
    [
        "state=lost", "stat=failed", "q=state:lost", "limit=0", "limit=1000000000", "limit=NaN",
        "id=abc", "id=%25%25%25%25", "id=abcd%00", "after=x", "cols=password", "since=yesterday",
        "q=%22open", "payload=x", "state=failed&after=eyJ4IjoxfQ==",
    ],
)  # fmt: skip
def test_what_is_no_filter_is_refused_with_the_text_that_was_typed(
    shown: Shown, query: str
) -> None:
    refused = shown.client().get(f"/jobs?{query}")

    assert refused.status_code == 400
    assert "expected" in refused.text


def test_a_query_that_is_too_long_is_refused(shown: Shown) -> None:
    assert shown.client().get(f"/jobs?name={'x' * 17_000}").status_code == 414


def test_pages_follow_one_another_without_a_gap(shown: Shown) -> None:
    client, path, seen = shown.client(), "/jobs?limit=20", list[str]()
    while path:
        page = client.get(path).text
        seen += re.findall(r'id="row-([^"]+)"', page)
        after = re.search(r'rel="next" href="([^"]+)"', page)
        path = after[1].replace("&amp;", "&") if after else ""

    assert len(seen) == len(set(seen)) == shown.ledger.count({}).number


def test_a_cursor_of_another_filter_is_refused(shown: Shown) -> None:
    client = shown.client()
    after = client.get("/api/v1/jobs?state=succeeded&limit=2").json()["after"]

    assert client.get("/jobs", params={"state": "failed", "after": after}).status_code == 400


def test_a_search_jumps_to_the_one_job_it_finds(shown: Shown) -> None:
    client, job_id = shown.client(), shown.scene.taken_over

    for text in (job_id, job_id[:12], "orders-2026-11"):
        found = client.get("/search", params={"q": text})
        assert found.headers["location"] == f"/jobs/{job_id}"
    assert client.get("/search?q=state:failed").headers["location"].startswith("/jobs?")


@pytest.mark.parametrize("path", ["/", "/held", "/failed", "/queues", "/workers", "/engines"])
def test_while_the_ledger_is_away_a_page_shows_its_last_figures(shown: Shown, path: str) -> None:
    client = shown.client()
    before = client.get(path)
    assert before.status_code == 200

    shown.surroundings.is_away = True
    away = client.get(path)

    assert away.status_code == 503
    assert away.headers["retry-after"] == "2"
    assert "The ledger does not answer" in away.text
    assert "figures of" in away.text
    shown.surroundings.is_away = False
    assert client.get(path).status_code == 200


def test_a_job_that_was_not_shown_before_is_refused_while_the_ledger_is_away(shown: Shown) -> None:
    shown.surroundings.is_away = True

    assert shown.client().get("/jobs/abcd").status_code == 503
    assert shown.client().get("/api/v1/tally").status_code == 503


def test_a_fragment_that_has_not_changed_is_not_sent_again(shown: Shown) -> None:
    client = shown.client()
    headers = {"HX-Request": "true"}
    first = client.get("/definitions", headers=headers)
    assert "<html" not in first.text

    again = client.get("/definitions", headers={**headers, "If-None-Match": first.headers["etag"]})

    assert again.status_code == 304


def test_the_story_names_the_hand_over_and_why(shown: Shown) -> None:
    page = shown.client().get(f"/jobs/{shown.scene.taken_over}").text

    assert "rq was skipped, its breaker was open: Redis was not reached" in page
    assert "handed from rq to dramatiq as epoch 2, because the lease of node-0 w-81 ran out" in page
    assert 'class="arrow"' in page
    assert page.count('class="step plain"') == 4


def test_a_chain_is_listed_by_its_first_job_with_the_way_to_the_others(shown: Shown) -> None:
    jobs = [
        new_job(id="nightly-0", follow_ups='{"then": {"job_id": "nightly-1"}}'),
        new_job(id="nightly-1", waits_for="nightly-0"),
    ]
    shown.ledger.record_chain(jobs, plan())

    page = shown.client().get("/chains").text

    assert re.findall(r'href="/chains/([^"]+)"', page) == ["nightly-0"]
    assert "nightly-1" in shown.client().get("/chains/nightly-0").text


def test_a_job_says_first_what_a_hand_over_has_kept(shown: Shown) -> None:
    page = shown.client().get(f"/jobs/{shown.scene.taken_over}").text

    assert "rq → dramatiq: it went on after step " in page
    assert "finished steps were not done again" in page
    assert "not done again" not in shown.client().get(f"/jobs/{shown.scene.failed}").text


def test_what_happened_is_told_in_the_order_of_its_causes(shown: Shown) -> None:
    page = shown.client().get(f"/jobs/{shown.scene.taken_over}").text
    told = page[page.index("Why here?") : page.index("Facts")]
    in_order = ["rq took the offer", "Attempt 1 claimed it on rq", "handed from rq to dramatiq"]
    in_order += ["dramatiq took the offer", "Attempt 2 claimed it on dramatiq"]

    places = [told.index(text) for text in in_order]

    assert places == sorted(places)
