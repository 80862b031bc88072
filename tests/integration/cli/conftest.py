"""The command line in an empty folder, whatever the developer's own environment says."""

import shutil
from pathlib import Path

import pytest

from tests.integration.cli.command_line import CommandLine
from tests.servers.fork_server import ForkServer
from tests.servers.processes import Processes
from tests.servers.valkey import Valkey
from tests.unit.worker.configuration.environment import forget_settings

SOON = {
    "FAILSOFT_WORKER_BEAT": "200ms",
    "FAILSOFT_WORKER_TTL": "2s",
    "FAILSOFT_MAINTENANCE_EVERY": "200ms",
    "FAILSOFT_LEASE": "2s",
}


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Forget every setting of the developer, in an empty folder."""
    forget_settings(monkeypatch, tmp_path)
    return tmp_path


@pytest.fixture
def bare_cli(
    clean_environment: Path, processes: Processes, command_server: ForkServer, empty_sqlite_url: str
) -> CommandLine:
    """A command line without a ledger, without servers, without jobs."""
    return CommandLine(clean_environment, processes, command_server, empty_sqlite_url)


@pytest.fixture
def cli(bare_cli: CommandLine, tables_on_sqlite: Path) -> CommandLine:
    """A command line with an empty ledger and jobs of a user, but no servers."""
    shutil.copy(tables_on_sqlite, bare_cli.folder / "ledger.db")
    bare_cli.upgrade()
    bare_cli.write_jobs()
    return bare_cli


@pytest.fixture
def live_cli(cli: CommandLine, valkey: Valkey, second_valkey: Valkey) -> CommandLine:
    """A command line with a ledger, jobs, and servers for both engines."""
    cli.env |= {"REDIS_URL": valkey.url, "AMQP_URL": second_valkey.url, **SOON}
    return cli
