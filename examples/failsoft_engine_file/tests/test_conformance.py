"""The engine `file` keeps every promise of an engine, while its folder is taken away and locked."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from failsoft.testing import EngineSuite, WorkerSuite
from failsoft_engine_file.bench import FileBench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[FileBench]:
    """A fresh queue on a folder of its own."""
    with closing(FileBench(tmp_path)) as bench:
        yield bench


class TestFileEngine(EngineSuite):
    """The half that offers."""


class TestFileWorker(WorkerSuite):
    """The half that works."""
