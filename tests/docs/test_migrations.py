"""The programs of the pages on coming from another queue print what the pages say."""

import re
from pathlib import Path

import pytest

from tests.docs.page import commands_of
from tests.docs.test_frameworks import HOW_TO, ran, serving, settings, write_files
from tests.docs.test_guide import exists
from tests.servers.processes import Processes
from tests.servers.valkey import Valkey

PAGES = [HOW_TO / f"migrate-from-{name}.md" for name in ("rq", "dramatiq", "celery")]

_RUN = re.compile(r"^```text\n\$ python (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "jobs", "callables"),
    [
        (PAGES[0], "rq", "tasks"),
        pytest.param(PAGES[1], "dramatiq", "actors", marks=pytest.mark.long),
        pytest.param(PAGES[2], "celery", "shop_tasks", marks=pytest.mark.long),
    ],
    ids=["rq", "dramatiq", "celery"],
)
def test_every_program_prints_what_its_page_says(  # noqa: PLR0917 - fixtures
    page: Path,
    jobs: str,
    callables: str,
    processes: Processes,
    valkey: Valkey,
    second_valkey: Valkey,
    tmp_path: Path,
    sqlite_url: str,
) -> None:
    env = {
        **settings(valkey),
        "FAILSOFT_LEDGER_URL": sqlite_url,
        "FAILSOFT_JOBS": f"jobs,failsoft.adoption.{jobs}.jobs",
        "FAILSOFT_CALLABLES": callables,
        # The broker that the old queue has.
        "REDIS_URL": second_valkey.url,
        "PYTHONPATH": str(tmp_path),
    }
    write_files(page, tmp_path)
    ran(processes, "failsoft", "ledger", "upgrade", env=env)
    worker = serving(processes, "failsoft", env=env)

    programs = _RUN.findall(page.read_text())
    assert len(programs) == 3
    for name, printed in programs:
        program = processes.python(name, env=env)
        assert program.wait() == 0, f"{program.tail}\n{worker.tail}"
        assert program.output == printed

    if jobs == "rq":
        # What the first program has left there.
        moved = ("adopt", "drain", jobs, "--queue", "mail", "--to", "default")
        ran(processes, "failsoft", *moved, env=env)
        assert second_valkey.command("EXISTS", "rq:queue:mail") == 0


@pytest.mark.parametrize("line", sorted({c for page in PAGES for c in commands_of(page)}))
def test_every_command_exists(line: str) -> None:
    exists(line)
