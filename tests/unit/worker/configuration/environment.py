"""An environment without any setting of the developer."""

import os
from pathlib import Path

import pytest

from failsoft.worker.configuration.settings import Settings

_PREFIXES = ("FAILSOFT_", "REDIS_", "SMTP_")
_OTHERS = frozenset({"USE_RQ", "AMQP_URL", "CLOUDAMQP_URL", "RABBITMQ_URL", "DATABASE_URL"})


def forget_settings(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Go to an empty folder, where no variable and no `.env` says anything."""
    monkeypatch.chdir(folder)
    for name in list(os.environ):
        if name.startswith(_PREFIXES) or name in _OTHERS:
            monkeypatch.delenv(name)
    assert {each.source for each in Settings().sources()} == {"default"}
