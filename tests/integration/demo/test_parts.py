"""The parts of the demo: its plan, its receiver, its surroundings, what it reads."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from failsoft.job_engine.errors import ConfigurationError
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.demo.environment.airports import airports_csv, imported_keys, read_airports
from failsoft.worker.demo.environment.engine_servers import engine_servers
from failsoft.worker.demo.environment.env_settings import only_these_settings
from failsoft.worker.demo.environment.extras import require_extras
from failsoft.worker.demo.environment.hosts import descendants
from failsoft.worker.demo.environment.receiver import Receiver
from failsoft.worker.demo.environment.worker_logs import logged_errors, refusals
from failsoft.worker.demo.plan import FEWEST_WEBHOOKS, make_plan

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"type":"airport.seen","data":{}}'


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(SECRET) as started:
        yield started


def post(receiver: Receiver, message_id: str, *, signed_body: bytes = BODY) -> int:
    now = datetime.now(UTC)
    signature = Webhook(SECRET).sign(message_id, now, signed_body.decode())
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    return httpx.post(receiver.url, content=BODY, headers=headers, trust_env=False).status_code


def test_the_receiver_counts_what_the_specifications_own_library_signed(receiver: Receiver) -> None:
    assert [post(receiver, each) for each in ("one", "two", "one")] == [204, 204, 204]

    assert (receiver.unique, receiver.taken, receiver.forged) == (2, 3, 0)


def test_the_receiver_refuses_what_was_signed_for_another_body(receiver: Receiver) -> None:
    assert post(receiver, "one", signed_body=b"{}") == 401

    assert (receiver.unique, receiver.forged) == (0, 1)


def test_the_receiver_refuses_what_is_not_signed(receiver: Receiver) -> None:
    assert httpx.post(receiver.url, content=BODY, trust_env=False).status_code == 401


def test_a_seed_decides_the_payloads_and_the_moment_of_the_kill() -> None:
    airports = read_airports(airports_csv())

    first, again, other = (make_plan(200, seed, airports) for seed in (7, 7, 8))

    assert first == again
    assert (first.first, first.kill_batch) != (other.first, other.kill_batch)


@pytest.mark.parametrize("jobs", [FEWEST_WEBHOOKS, 40, 200, 1000])
def test_every_phase_has_its_webhooks_and_the_kill_comes_at_about_a_third(jobs: int) -> None:
    airports = read_airports(airports_csv())

    for seed in range(50):
        plan = make_plan(jobs, seed, airports)
        phases = (
            plan.first,
            plan.alongside,
            plan.stranded,
            plan.outage,
            plan.returning,
            plan.last,
        )
        assert all(phases)
        assert plan.webhooks == jobs
        before = len(plan.first) + len(plan.alongside) + len(plan.stranded)
        assert 0.29 <= before / jobs <= 0.37
        assert 0.29 <= plan.kill_batch / plan.batches <= 0.41


def test_the_data_set_is_the_real_one() -> None:
    airports = read_airports(airports_csv())

    assert len(airports) == len({each["iata"] for each in airports}) == 3376


def test_a_table_that_is_not_there_yet_holds_no_row(tmp_path: Path) -> None:
    assert imported_keys(tmp_path / "missing.db") == ()


def test_a_process_tree_is_read_from_a_listing() -> None:
    listing = "    1     0\n  12    10\n   10     1\n  13    12\n   11     1\n"

    assert sorted(descendants(listing, 10)) == [12, 13]


def test_missing_packages_are_named_with_the_command() -> None:
    with pytest.raises(ConfigurationError, match=r"no_such_package.*failsoft\[demo\]"):
        require_extras(["json", "no_such_package"])


@pytest.mark.parametrize(("primary", "forgets"), [("rq", False), ("kafka", True)])
def test_what_a_server_in_memory_has_after_its_kill_is_not_of_before(
    tmp_path: Path, primary: str, forgets: bool
) -> None:
    with only_these_settings({"FAILSOFT_ENGINES": f"{primary},ledger"}):
        servers = engine_servers(load_settings(_env_file=None), tmp_path)

    assert servers.forgets is forgets


def test_the_demo_uses_its_own_settings_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://production:6379/0")
    monkeypatch.setenv("FAILSOFT_JOBS", "somebody.elses")
    monkeypatch.setenv("USE_RQ", "false")
    before = dict(os.environ)

    with only_these_settings({"FAILSOFT_REDIS_URL": "redis://127.0.0.1:1/0"}):
        settings = load_settings(_env_file=None)

    assert (settings.of_engine("rq").url, settings.jobs, settings.use_rq) == (
        "redis://127.0.0.1:1/0",
        (),
        True,
    )
    assert dict(os.environ) == before


def test_refusals_and_errors_are_read_from_the_logs(tmp_path: Path) -> None:
    log = tmp_path / "rq.log"
    refused = {"event": "message.refused", "level": "info", "job_id": "a"}
    failed = {"event": "job.fail", "level": "error", "job_id": "b", "error_type": "ValueError"}
    texts = [json.dumps(refused), "Traceback (most recent call last):", "7", json.dumps(failed)]
    log.write_text("\n".join([*texts, json.dumps(refused), '{"event": "message.ref']))

    assert refusals(log) == 2
    assert logged_errors(log) == ["rq: job.fail b ValueError"]
    assert refusals(tmp_path / "missing.log") == 0
