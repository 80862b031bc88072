"""Which tests of this folder are left to `-m long`."""

from zlib import crc32

import pytest

#: One test of so many runs behind a pooler in each run.
ONE_IN = 10


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave most of the suite behind a pooler to `-m long`: its statements are the same."""
    for item in items:
        if "TestPooledPostgresLedger" in item.nodeid and crc32(item.name.encode()) % ONE_IN:
            item.add_marker(pytest.mark.long)
