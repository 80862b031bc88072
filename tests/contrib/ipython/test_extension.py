"""The extension of a notebook."""

import asyncio
from collections.abc import Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell

from failsoft.api import AsyncJobHandle, Link
from failsoft.job_engine.errors import LedgerUnavailableError
from failsoft.job_engine.records.error_record import ErrorRecord
from failsoft.job_engine.records.job import Conclusion
from failsoft.job_engine.records.states import FAIL
from tests.unit.support.attempts import Mail
from tests.unit.support.memory_app import WELCOME, MemoryApp

DEFINITION = """
from pydantic import BaseModel
from failsoft.api import JobContext, declare_job, job
class Order(BaseModel):
    number: int
DECLARED = declare_job("declared", payload=Order)
@job()
def pay(payload: Order, ctx: JobContext) -> int:
    return 1
"""


@pytest.fixture
def shell(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    shell = InteractiveShell.instance()
    shell.run_cell("%load_ext failsoft.contrib.ipython").raise_error()
    yield shell
    shell.run_cell("%unload_ext failsoft.contrib.ipython").raise_error()
    InteractiveShell.clear_instance()


def html_of(shell: InteractiveShell, shown: object) -> str:
    assert shell.display_formatter is not None
    data, _ = shell.display_formatter.format(shown)
    return str(data.get("text/html", ""))


def test_a_job_in_a_cell_is_refused_with_why_and_how(shell: InteractiveShell) -> None:
    error = shell.run_cell(DEFINITION).error_in_exec

    assert type(error).__name__ == "DefinitionError"
    assert "which the process of a worker cannot import" in str(error)
    assert "%%writefile jobs.py" in str(error)
    assert "from jobs import pay" in str(error)
    assert "DECLARED" in shell.user_ns


def test_it_is_not_refused_without_the_extension(shell: InteractiveShell) -> None:
    shell.run_cell("%unload_ext failsoft.contrib.ipython").raise_error()

    shell.run_cell(DEFINITION).raise_error()

    shell.run_cell("%load_ext failsoft.contrib.ipython").raise_error()


def test_a_handle_shows_its_job(shell: InteractiveShell) -> None:
    app = MemoryApp()
    handle = app.dispatch()

    shown = html_of(shell, handle)

    assert all(
        text in shown for text in ("<table>", handle.id, "offered", "welcome", "rq, epoch 1")
    )
    assert html_of(shell, AsyncJobHandle(handle)) == shown


def test_what_is_shown_is_escaped(shell: InteractiveShell) -> None:
    app = MemoryApp()
    handle = app.dispatch()
    claim = app.work(app.rq)
    assert claim is not None
    error = ErrorRecord("ValueError", "<script>alert('7')</script>", "")
    app.ledger.conclude(claim, Conclusion(FAIL, error=error))

    shown = html_of(shell, handle)

    assert "<script>" not in shown
    assert "ValueError: &lt;script&gt;alert(&#x27;7&#x27;)&lt;/script&gt;" in shown


def test_a_ledger_that_is_away_is_said_and_raises_nothing(shell: InteractiveShell) -> None:
    app = MemoryApp()
    handle = app.dispatch()

    def away(job_id: str) -> None:
        raise LedgerUnavailableError("the ledger is <away>")

    app.ledger.get = away  # type: ignore[method-assign,assignment]

    assert "LedgerUnavailableError: the ledger is &lt;away&gt;" in html_of(shell, handle)


def test_chains_and_groups_are_shown(shell: InteractiveShell) -> None:
    app = MemoryApp()
    chain = app.dispatcher.dispatch_chain(Link(WELCOME, Mail()), Link(WELCOME, Mail()))
    group = app.dispatcher.dispatch_group([Link(WELCOME, Mail())])

    assert html_of(shell, chain).count("<table>") == 2
    assert "0 of 1" in html_of(shell, group)


def test_a_cell_awaits_a_handle(shell: InteractiveShell) -> None:
    app = MemoryApp()
    handle = app.dispatch()
    claim = app.work(app.rq)
    assert claim is not None
    app.finish(claim)
    shell.user_ns["handle"] = handle
    cell = "found = await handle.astatus()"

    asyncio.run(shell.run_cell_async(cell, transformed_cell=cell)).raise_error()

    assert str(shell.user_ns["found"]) == "succeeded"
