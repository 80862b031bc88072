"""How many attempts a worker process runs side by side, as the settings say."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.policies.queue import MAX_SLOTS, QueueProfile
from failsoft.job_engine.validation import did_you_mean

#: The key for every queue that is not named.
ALL = ""

Slots = Mapping[str, int]


def read_slots(value: Any) -> Any:
    """Read `4`, or `default=4,data-sync=1`, or both, as in `4,data-sync=1`.

    Raises:
        ValueError: If it has another form.
    """
    if not isinstance(value, str):
        return value
    slots: dict[str, int] = {}
    for each in filter(None, (word.strip() for word in value.split(","))):
        queue, _, number = each.rpartition("=")
        if not number.strip().isdecimal() or not 0 < int(number) <= MAX_SLOTS:
            raise ValueError(
                f"expected slots like 4 or default=4,data-sync=1, each from 1 to {MAX_SLOTS}, "
                f"got {each!r}"
            )
        slots[queue.strip()] = int(number)
    return slots


def with_slots(profile: QueueProfile, slots: Slots) -> QueueProfile:
    """Return the profile of a queue with the slots of the settings, for every engine."""
    number = slots.get(profile.name, slots.get(ALL))
    if number is None:
        return profile
    return replace(profile, slots=number, slots_by={})


def check_slots(slots: Slots, queues: Collection[str]) -> None:
    """Refuse slots of queues that are not declared.

    Raises:
        ConfigurationError: The message names them.
    """
    unknown = [name for name in slots if name != ALL and name not in queues]
    if unknown:
        raise ConfigurationError(
            f"FAILSOFT_SLOTS: expected declared queues ({', '.join(sorted(queues))}), got "
            f"{', '.join(unknown)}{did_you_mean(unknown[0], queues)}"
        )
