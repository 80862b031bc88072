"""Queue profiles and the closed set of queues."""

import secrets
from dataclasses import replace
from datetime import timedelta

import pytest

from failsoft.job_engine import QueueProfile, declare_queue
from failsoft.job_engine.errors import DefinitionError, UnknownQueueError
from failsoft.job_engine.policies.queue import (
    DATA_SYNC,
    DEFAULT,
    SCHEDULED,
    declared_queues,
    profile_or_default,
    queue_profile,
)


def new_name() -> str:
    return f"q-{secrets.token_hex(6)}"


def test_three_queues_exist_out_of_the_box() -> None:
    known = declared_queues()

    assert [known[name] for name in ("default", "data-sync", "scheduled")] == [
        DEFAULT,
        DATA_SYNC,
        SCHEDULED,
    ]


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (DEFAULT, ("thread", 32, timedelta(minutes=5), timedelta(seconds=60))),
        (DATA_SYNC, ("process", 2, timedelta(hours=2), timedelta(seconds=180))),
        (SCHEDULED, ("process", 4, timedelta(minutes=15), timedelta(seconds=60))),
    ],
)
def test_the_queues_have_the_profiles_of_the_design(
    profile: QueueProfile, expected: tuple[object, ...]
) -> None:
    sizes = (profile.isolation, profile.slots)

    assert (*sizes, profile.timeout, profile.lease) == expected


def test_a_declared_queue_is_found_by_its_name() -> None:
    profile = declare_queue(QueueProfile(new_name(), slots=3))

    assert queue_profile(profile.name) is profile
    assert declared_queues()[profile.name] is profile


def test_declaring_the_same_queue_again_is_harmless() -> None:
    profile = declare_queue(QueueProfile(new_name()))

    assert declare_queue(replace(profile)) == profile


def test_two_profiles_of_one_name_are_refused() -> None:
    profile = declare_queue(QueueProfile(new_name()))

    with pytest.raises(DefinitionError, match=f"{profile.name}.*declared twice"):
        declare_queue(replace(profile, slots=99))
    assert queue_profile(profile.name) is profile


def test_a_queue_that_is_declared_otherwise_says_how_it_differs_and_what_sets_its_slots() -> None:
    with pytest.raises(DefinitionError) as caught:
        declare_queue(replace(DEFAULT, slots=4))

    assert str(caught.value) == (
        "queue 'default' is declared twice: expected slots=32, got slots=4; declare a queue of "
        "another name, or set the slots of this one in FAILSOFT_SLOTS"
    )


def test_an_unknown_queue_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UnknownQueueError, match=r"data-sync, default.*got 'emails'") as caught:
        queue_profile("emails")

    assert "declare_queue" in str(caught.value)


def test_the_set_of_queues_cannot_be_changed_from_outside() -> None:
    known = declared_queues()

    with pytest.raises(TypeError):
        known["emails"] = DEFAULT  # type: ignore[index]


def test_a_queue_of_another_program_gets_a_plain_profile() -> None:
    assert profile_or_default("somewhere-else") == QueueProfile("somewhere-else")
    assert profile_or_default("data-sync") is DATA_SYNC


@pytest.mark.parametrize("name", ["", "Default", "1st", "a b", "a_b", "-a", "a" * 49, "ä", "a\n"])
def test_a_name_that_an_engine_could_not_carry_is_refused(name: str) -> None:
    with pytest.raises(DefinitionError, match="queue name"):
        QueueProfile(name)
