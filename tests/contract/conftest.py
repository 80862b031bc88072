"""Which tests of this folder are left to `-m long`."""

from zlib import crc32

import pytest

#: Of these one test of so many runs in each run.
ONE_IN = 10
#: Behind a pooler the statements are the same, and on quorum queues the commands.
SAMPLED = ("TestPooledPostgresLedger", "EngineOnQuorumQueues")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave most of what differs little from other tests to `-m long`."""
    for item in items:
        is_sampled = any(each in item.nodeid for each in SAMPLED)
        if is_sampled and crc32(item.name.encode()) % ONE_IN:
            item.add_marker(pytest.mark.long)
