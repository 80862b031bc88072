"""Which tests of this folder are left to `-m long`."""

from collections.abc import Iterator
from zlib import crc32

import pytest

#: Of these one test of so many runs in each run.
ONE_IN = 10
#: Behind a pooler the statements are the same, on quorum queues the commands, and Celery's tasks
#: are the same on both brokers.
SAMPLED = ("TestPooledPostgresLedger", "EngineOnQuorumQueues", "TestCeleryEngineOnRabbitmq")
#: What takes half a minute on most engines, and the one that it runs on in each run.
SLOW = "test_ten_thousand_messages_leave_nothing_behind"
QUICK = "TestKafkaWorker"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Leave most of what differs little from other tests to `-m long`.

    Before the conftest of all tests has chance choose among the others.
    """
    for item in items:
        is_sampled = any(each in item.nodeid for each in SAMPLED)
        is_slow = item.name == SLOW and f"::{QUICK}::" not in item.nodeid
        if is_slow or (is_sampled and crc32(item.name.encode()) % ONE_IN):
            item.add_marker(pytest.mark.long)
    yield
