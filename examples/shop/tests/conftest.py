"""A database and the folders of the stand-ins, for one test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shop import database


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the test a shop of its own, with the catalogue."""
    monkeypatch.setenv("FAILSOFT_LEDGER_URL", f"sqlite:///{tmp_path / 'shop.db'}")
    monkeypatch.setenv("SHOP_FOLDER", str(tmp_path))
    database.prepare()
    yield tmp_path
    database.engine().dispose()
    database.engine.cache_clear()
    database.async_engine.cache_clear()
