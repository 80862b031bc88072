"""Which tests begin first."""

import pytest

#: Where tests take half a minute and more: begun last, one of them would go on alone for as long.
LONGEST = (
    "tests/chaos/test_chaos.py",
    "tests/crash_points/test_matrix.py",
    "tests/stateful/faults/test_troubles.py",
    "tests/faults/brokers/test_rotated_keys.py",
    "tests/integration/demo/test_demo.py",
    "tests/stateful/test_machine.py",
    "tests/integration/test_distribution.py",
    "tests/integration/cli/test_dev.py",
    "tests/faults/postgresql/test_promoted_replicas.py",
    "tests/takeovers/test_takeovers.py",
    "tests/integration/cli/workers/test_worker.py",
)


def place(item: pytest.Item) -> int:
    """Return where a test belongs: before those of a greater number."""
    path = item.path.as_posix()
    places = (place for place, name in enumerate(LONGEST) if path.endswith(name))
    return next(places, len(LONGEST))
