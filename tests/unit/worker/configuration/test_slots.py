"""How many attempts run side by side may be set, for every queue or for some."""

from typing import Any

import pytest

from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.policies.queue import DATA_SYNC, DEFAULT
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.configuration.slots import check_slots, with_slots


@pytest.mark.parametrize(
    ("text", "default", "data_sync"),
    [
        ("", (32, 32), (2, 2)),
        ("4", (4, 4), (4, 4)),
        ("default=3", (3, 3), (2, 2)),
        (" 4 , data-sync=1 ", (4, 4), (1, 1)),
    ],
)
def test_slots_take_the_place_of_the_profiles(
    monkeypatch: pytest.MonkeyPatch, text: str, default: Any, data_sync: Any
) -> None:
    monkeypatch.setenv("FAILSOFT_SLOTS", text)

    slots = load_settings().slots

    for profile, expected in ((DEFAULT, default), (DATA_SYNC, data_sync)):
        changed = with_slots(profile, slots)
        assert (changed.slots, changed.slots_on("dramatiq")) == expected
        assert changed.lease == profile.lease


@pytest.mark.parametrize("text", ["many", "0", "-1", "default=", "default=x", "10001", "default:3"])
def test_what_is_no_number_of_slots_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("FAILSOFT_SLOTS", text)

    with pytest.raises(ConfigurationError, match=r"FAILSOFT_SLOTS.*expected slots like 4 or"):
        load_settings()


def test_slots_of_a_queue_that_there_is_not_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'default'"):
        check_slots({"defaultt": 4}, ["default", "data-sync"])
