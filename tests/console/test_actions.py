"""What is done by forms and by the API has its effect once, and is in the audit."""

import json

import pytest
from starlette.testclient import TestClient

from failsoft.console.pages.bulk import has_changed
from failsoft.job_engine.ports.console import Count
from failsoft.job_engine.records.states import JobState
from tests.console.conftest import SAME_ORIGIN, Shown
from tests.servers.processes import PATIENCE, wait_until


def test_a_cancel_returns_to_its_page_and_is_in_the_audit(shown: Shown) -> None:
    client, job_id = shown.client(), shown.scene.scheduled

    done = client.post(
        f"/jobs/{job_id}/cancel", data={"reason": "typo", "back": "/jobs?state=scheduled"}
    )

    assert done.headers["location"] == "/jobs?state=scheduled"
    assert shown.ledger.get(job_id).state is JobState.CANCELLED
    entry = shown.ledger.audits(target=job_id).items[0]
    assert (entry.actor, entry.action, entry.reason) == ("ada", "cancel", "typo")
    assert entry.detail["was"] == "scheduled"
    assert "was cancelled" in client.get("/jobs?state=scheduled").text


def test_what_an_action_came_to_waits_for_a_whole_page(shown: Shown) -> None:
    client, job_id = shown.client(), shown.scene.scheduled
    client.post(f"/jobs/{job_id}/cancel")

    # The page before asks for what has changed while the next one is on its way.
    part = client.get("/jobs", headers={"HX-Request": "true"})
    shows = client.get("/jobs").text
    no_longer = client.get("/jobs").text

    assert [said.count("was cancelled") for said in (part.text, shows, no_longer)] == [0, 1, 0]
    # Beside what is replaced by news, not in it.
    assert shows.index("was cancelled") < shows.index('id="view"')


def test_a_refusal_names_the_code_of_its_error_and_its_entry(shown: Shown) -> None:
    client, job_id = shown.client(), shown.scene.succeeded
    entry = "docs/reference/errors.md#fs-031"

    page = client.post(f"/jobs/{job_id}/retry")
    body = client.post(f"/api/v1/jobs/{job_id}/retry").json()
    unknown = client.get("/api/v1/jobs/no-such-job").json()
    not_ours = shown.client("viewer").post(f"/api/v1/jobs/{job_id}/retry").json()

    assert ("FS-031" in page.text, entry in page.text) == (True, True)
    assert (body["code"], body["see"]) == ("FS-031", entry)
    assert unknown["code"] == "FS-027"
    # The console's own: no error of Failsoft's.
    assert not_ours.keys() == {"error", "detail"}


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "/\\evil", "javascript:x"]
)
def test_an_action_returns_to_no_other_site(shown: Shown, back: str) -> None:
    job_id = shown.scene.scheduled

    done = shown.client().post(f"/jobs/{job_id}/cancel", data={"back": back})

    assert done.headers["location"] == f"/jobs/{job_id}"


def test_a_refused_action_is_in_the_audit_and_changes_nothing(shown: Shown) -> None:
    client, job_id = shown.client(), shown.scene.succeeded

    assert client.post(f"/jobs/{job_id}/retry").status_code == 409

    entry = shown.ledger.audits(target=job_id).items[0]
    assert entry.outcome == "refused"
    assert shown.ledger.get(job_id).state is JobState.SUCCEEDED


def test_failed_work_is_done_again_by_one_new_job_however_often_it_is_sent(shown: Shown) -> None:
    client, job_id = shown.client(), shown.scene.failed

    places = {client.post(f"/jobs/{job_id}/retry").headers["location"] for _ in range(2)}

    assert len(places) == 1
    new = places.pop().rpartition("/")[2]
    assert shown.ledger.get(new).retry_of == job_id


def test_a_held_job_is_decided_as_it_was_shown_and_not_later(shown: Shown) -> None:
    client, job_id = shown.client(), shown.scene.held
    epoch = shown.ledger.get(job_id).epoch

    stale = client.post(f"/jobs/{job_id}/abandon", data={"epoch": str(epoch + 1)})
    assert stale.status_code == 409
    assert shown.ledger.get(job_id).state is JobState.HELD

    done = client.post(
        f"/jobs/{job_id}/resume", data={"epoch": str(epoch), "done.charge": '{"id": 7}'}
    )
    assert done.status_code == 303
    assert shown.ledger.get(job_id).state is JobState.SCHEDULED
    assert [step.result for step in shown.ledger.steps(job_id)] == ['{"id":7}']


def test_a_payload_is_checked_by_its_model_before_anything_is_stored(shown: Shown) -> None:
    client, job_id = shown.client(), shown.scene.scheduled
    client.post(f"/jobs/{job_id}/cancel")

    for wrong in ('{"user_id": "x"}', "{", '{"user_id": 1, "email": "•••"}', ""):
        refused = client.post(f"/jobs/{job_id}/edit-retry", data={"payload": wrong})
        assert refused.status_code == 400, wrong
    assert not shown.ledger.again(job_id)

    done = client.post(f"/jobs/{job_id}/edit-retry", data={"payload": '{"user_id": 8}'})
    assert done.status_code == 303
    assert json.loads(shown.ledger.again(job_id)[0].payload)["user_id"] == 8


def test_a_queue_is_paused_and_goes_on(shown: Shown) -> None:
    client = shown.client("operator")

    client.post("/queues/default/pause", data={"reason": "deploy"})
    paused = {each.name: each for each in shown.ledger.pauses()}
    assert paused["default"].reason == "deploy"
    assert "deploy" in client.get("/queues/default").text

    client.post("/queues/default/resume")
    assert "default" not in {each.name for each in shown.ledger.pauses()}


@pytest.mark.parametrize(
    ("shown", "now", "is_asked_anew"),
    [
        (Count(100), Count(110), False),
        (Count(100), Count(111), True),
        (Count(100), Count(89), True),
        (Count(100), Count(2000, is_least=True), True),
        # A count that was not carried to its end is as long as there was time.
        (Count(100), Count(40, is_least=True), False),
        (Count(1000, is_least=True), Count(9000), False),
        (Count(1000, is_least=True), Count(7000, is_least=True), False),
        (Count(1000, is_least=True), Count(60), True),
    ],
)
def test_a_number_that_has_clearly_changed_is_asked_for_anew(
    shown: Count, now: Count, *, is_asked_anew: bool
) -> None:
    assert has_changed(shown, now) is is_asked_anew


def test_a_number_shown_as_at_least_so_many_is_enough_where_more_match(shown: Shown) -> None:
    given = {"action": "retry", "filter": "state:failed", "expected": "3", "typed": "3"}

    assert shown.client().post("/bulk", data=given).status_code == 409
    done = shown.client().post("/bulk", data={**given, "least": "true"})
    bulk_id = done.headers["location"].rpartition("/")[2]
    wait_until(lambda: shown.ledger.bulk(bulk_id).state == "done", PATIENCE, "the bulk is through")

    assert shown.ledger.bulk(bulk_id).done == 7


def test_a_bulk_needs_the_number_that_was_shown_and_then_goes_through(shown: Shown) -> None:
    client = shown.client("operator")
    given = {"action": "retry", "filter": "state:failed", "expected": "7"}
    assert "7 jobs" in client.get("/bulk?action=retry&state=failed").text

    assert client.post("/bulk", data={**given, "typed": "8"}).status_code == 400
    drifted = client.post("/bulk", data={**given, "expected": "3", "typed": "3"})
    assert drifted.status_code == 409
    assert not shown.ledger.bulks().items

    done = client.post("/bulk", data={**given, "typed": "7"})
    bulk_id = done.headers["location"].rpartition("/")[2]
    wait_until(lambda: shown.ledger.bulk(bulk_id).state == "done", PATIENCE, "the bulk is through")

    assert shown.ledger.bulk(bulk_id).done == 7
    assert all(shown.ledger.again(job_id) for job_id in shown.scene.all_failed)
    assert client.get(f"/bulks/{bulk_id}").status_code == 200


def test_a_viewer_is_shown_no_button_that_would_be_refused(shown: Shown) -> None:
    page = shown.client("viewer").get(f"/jobs/{shown.scene.failed}").text

    assert 'method="post"' not in page
    assert 'method="post"' in shown.client("operator").get(f"/jobs/{shown.scene.failed}").text


def test_selected_rows_are_acted_on_each_by_itself(shown: Shown) -> None:
    client, scene = shown.client("operator"), shown.scene
    chosen = [scene.scheduled, scene.running, scene.succeeded]
    asked = client.get("/selected", params={"action": "cancel", "ids": chosen})
    assert asked.status_code == 200
    assert "3 selected jobs" in asked.text
    assert shown.ledger.get(scene.scheduled).state is JobState.SCHEDULED

    done = client.post(
        "/selected", data={"action": "cancel", "ids": chosen, "reason": "typo", "back": "/jobs"}
    )

    assert done.headers["location"] == "/jobs"
    assert shown.ledger.get(scene.scheduled).state is JobState.CANCELLED
    assert shown.ledger.get(scene.running).cancel_requested
    assert shown.ledger.get(scene.succeeded).state is JobState.SUCCEEDED
    entry = shown.ledger.audits(target=scene.scheduled).items[0]
    assert (entry.action, entry.reason) == ("cancel", "typo")


def test_a_selected_row_that_refuses_keeps_none_of_the_others(shown: Shown) -> None:
    client, scene = shown.client("operator"), shown.scene

    client.post("/selected", data={"action": "retry", "ids": [scene.succeeded, scene.failed]})

    assert shown.ledger.again(scene.failed)
    assert not shown.ledger.again(scene.succeeded)
    page = client.get("/jobs").text
    assert "1 jobs are done again" in page
    assert "1 were refused" in page


@pytest.mark.parametrize("ids", [[], ["x"] * 0, [f"id-{place}" for place in range(201)]])
def test_none_and_too_many_selected_rows_are_refused(shown: Shown, ids: list[str]) -> None:
    refused = shown.client().post("/selected", data={"action": "cancel", "ids": ids})

    assert refused.status_code == 400


def test_an_operator_without_the_permission_decides_no_selected_held_job(shown: Shown) -> None:
    from failsoft.console import Actor, Permission, console  # noqa: PLC0415 - beside its use

    access = frozenset({Permission.VIEW, Permission.BULK})
    app = console(
        environment=shown.surroundings, authenticate=lambda _: Actor("eve", "custom", access)
    )
    client = TestClient(app, headers=SAME_ORIGIN, follow_redirects=False)

    given = {"action": "abandon", "ids": [shown.scene.held]}
    assert client.post("/selected", data=given).status_code == 403
    assert shown.ledger.get(shown.scene.held).state is JobState.HELD


def test_an_event_is_sent_to_the_jobs_that_wait_for_it(shown: Shown) -> None:
    client = shown.client()
    page = client.get("/waits").text
    assert "order-7" in page
    assert "await-payment" in page

    given = {"event": "paid", "key": "order-7", "payload": '{"by": "card"}'}
    done = client.post("/waits", data=given)

    assert done.status_code == 303
    assert shown.ledger.audits(target="paid").items[0].detail == {"key": "order-7"}
    for wrong in ({"to": "x"}, {"key": ""}, {"payload": "{"}, {"event": ""}):
        assert client.post("/waits", data={**given, **wrong}).status_code == 400


def test_limits_say_how_many_wait_and_what_is_full(shown: Shown) -> None:
    page = shown.client().get("/limits").text

    assert "sync_account" in page
    assert page.count("! full") == 1
    assert "1 of 2" in page
