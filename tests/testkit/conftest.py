"""What the jobs of these tests did is forgotten before each of them."""

from collections.abc import Iterator

import pytest

from tests.testkit import jobs


@pytest.fixture(autouse=True)
def done() -> Iterator[list[str]]:
    jobs.DONE.clear()
    yield jobs.DONE
    jobs.DONE.clear()
