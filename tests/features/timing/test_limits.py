"""`concurrency` and `rate_limit`: how many run at once, and how many begin in a while (I12)."""

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import pytest

from failsoft.dispatcher import JobHandle
from failsoft.job_engine import Concurrency, JobState
from failsoft.job_engine.invariants import LimitedAttempt, beyond_their_limit
from failsoft.ledger.verify import verify
from tests.deployments.shared import EngineDeployment
from tests.features.jobs.timing.limits import PERIOD, Call, call, fails, metered, nap

BY = ("tenant",)
ENGINES = ("rq", "dramatiq")


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    return tmp_path / "diary"


def begun(diary: Path) -> list[tuple[float, str]]:
    lines = [line.split() for line in diary.read_text().splitlines()]
    return sorted((float(moment), word) for moment, word, _ in lines)


def kept(deployment: EngineDeployment, handles: Sequence[JobHandle[int]], kind: str) -> bool:
    """Return by the ledger whether the limit held; what a body notes may be delayed."""
    attempts = []
    for handle in handles:
        limit = getattr(handle.job().limits, kind)
        attempts += [
            LimitedAttempt(handle.id, each.epoch, limit, each.started_at, each.ended_at)
            for each in deployment.ledger.attempts(handle.id)
        ]
    attempts.sort(key=lambda each: each.started_at)
    return not list(beyond_their_limit(attempts))


def test_no_more_than_the_limit_run_at_once_and_all_run(
    deployment: EngineDeployment, diary: Path
) -> None:
    tenant = deployment.unique("acme")
    payloads = [Call(tenant=tenant, diary=str(diary), number=n) for n in range(7)]

    handles = [deployment.dispatch(call, payload) for payload in payloads]
    outcomes = deployment.dispatcher.dispatch_many(call, payloads[:2], engines=(deployment.engine,))
    handles += [each.handle for each in outcomes if each.handle]

    assert [handle.result() for handle in handles] == [*range(7), 0, 1]
    at_once = accumulate(1 if word == "begin" else -1 for _, word in begun(diary))
    assert max(at_once) <= 2
    assert kept(deployment, handles, "concurrency")


def test_another_tenant_has_a_room_of_its_own(
    deployment: EngineDeployment, diary: Path, tmp_path: Path
) -> None:
    crowded, free, gate = deployment.unique("crowded"), deployment.unique("free"), tmp_path / "gate"
    held = Call(tenant=crowded, diary=str(diary), gate=str(gate))
    handles = [deployment.dispatch(call, held.model_copy(update={"number": n})) for n in range(5)]
    for handle in handles[:2]:
        deployment.wait_for(handle, JobState.RUNNING)

    assert deployment.dispatch(call, Call(tenant=free, diary=str(diary))).result() == 0
    assert {handle.status() for handle in handles[2:]} == {JobState.SCHEDULED}

    gate.touch()
    assert [handle.result() for handle in handles] == list(range(5))


def test_no_more_than_the_limit_begin_within_a_period(
    deployment: EngineDeployment, diary: Path
) -> None:
    tenant = deployment.unique("acme")

    handles = [
        deployment.dispatch(metered, Call(tenant=tenant, diary=str(diary), number=n))
        for n in range(5)
    ]

    assert [handle.result() for handle in handles] == list(range(5))
    assert kept(deployment, handles, "rate")
    started = sorted(deployment.ledger.attempts(handle.id)[0].started_at for handle in handles)
    assert started[4] - started[0] >= 2 * PERIOD


def test_a_job_that_sleeps_leaves_its_place_to_others(
    deployment: EngineDeployment, diary: Path
) -> None:
    tenant = deployment.unique("acme")
    asleep = deployment.dispatch(nap, Call(tenant=tenant, diary=str(diary), number=0))
    deployment.wait_for(asleep, JobState.SCHEDULED)

    assert deployment.dispatch(nap, Call(tenant=tenant, diary=str(diary), number=1)).result() == 1
    asleep.cancel()


def test_a_job_that_fails_leaves_its_place_to_others(
    deployment: EngineDeployment, diary: Path
) -> None:
    tenant = deployment.unique("acme")
    handles = [
        deployment.dispatch(fails, Call(tenant=tenant, diary=str(diary), number=n))
        for n in range(3)
    ]

    for handle in handles:
        deployment.wait_for(handle, JobState.FAILED)


def test_a_limit_holds_for_both_engines_together(
    deployment: EngineDeployment, diary: Path, tmp_path: Path
) -> None:
    tenant, gate, alone = deployment.unique("acme"), tmp_path / "gate", Concurrency(limit=1, by=BY)
    payload = Call(tenant=tenant, diary=str(diary), gate=str(gate))
    on_both = staffed(deployment)
    handles = [deployment.dispatch(call, payload, concurrency=alone, engines=on) for on in on_both]
    first, *others = handles
    deployment.wait_for(first, JobState.RUNNING)

    assert {handle.status() for handle in others} == {JobState.SCHEDULED}
    gate.touch()

    assert [handle.result() for handle in handles] == [0] * len(handles)
    assert ran_on(deployment, handles) == on_both
    at_once = accumulate(1 if word == "begin" else -1 for _, word in begun(diary))
    assert max(at_once) == 1
    assert kept(deployment, handles, "concurrency")


def test_a_rate_counts_what_begins_on_both_engines(
    deployment: EngineDeployment, diary: Path
) -> None:
    payload = Call(tenant=deployment.unique("acme"), diary=str(diary))
    on_both = staffed(deployment)

    handles = [deployment.dispatch(metered, payload, engines=on) for on in on_both]

    assert [handle.result() for handle in handles] == [0] * len(handles)
    assert ran_on(deployment, handles) == on_both
    assert kept(deployment, handles, "rate")
    started = sorted(deployment.ledger.attempts(handle.id)[0].started_at for handle in handles)
    assert started[2] - started[0] >= PERIOD


def staffed(deployment: EngineDeployment) -> list[tuple[str, ...]]:
    """Have workers of both engines; return where four jobs go, by turns."""
    for engine in ENGINES:
        deployment.start_worker(engine)
    return [(engine,) for engine in ENGINES * 2]


def ran_on(
    deployment: EngineDeployment, handles: Sequence[JobHandle[int]]
) -> list[tuple[str, ...]]:
    return [
        tuple(each.engine for each in deployment.ledger.attempts(handle.id)) for handle in handles
    ]


def test_the_histories_of_all_limited_jobs_are_sound(deployment: EngineDeployment) -> None:
    found = [each for checked in verify(deployment.database) for each in checked.violations]

    assert not [each for each in found if each.invariant == "I12"]
