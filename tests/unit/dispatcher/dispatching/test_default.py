"""`dispatch_job` and the dispatcher behind it."""

from collections.abc import Iterator
from importlib import metadata

import pytest

from failsoft.dispatcher import default, default_dispatcher, dispatch_job, use_dispatcher
from failsoft.job_engine.errors import ConfigurationError
from tests.unit.support.attempts import Mail, exit_code_of_a_child
from tests.unit.support.memory_app import WELCOME, MemoryApp


@pytest.fixture(autouse=True)
def no_dispatcher_is_left_behind() -> Iterator[None]:
    yield
    use_dispatcher(None)


def test_a_job_goes_through_the_dispatcher_that_was_chosen() -> None:
    app = MemoryApp()
    use_dispatcher(app.dispatcher)

    handle = dispatch_job(WELCOME, Mail(user_id=3), idempotency_key="welcome-3")

    assert app.ledger.get(handle.id).payload == '{"user_id":3}'
    assert default_dispatcher() is app.dispatcher


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_makes_one_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    use_dispatcher(MemoryApp().dispatcher)
    childs_own = MemoryApp().dispatcher
    monkeypatch.setattr(default, "_wire", lambda: childs_own)

    def in_the_child() -> int:
        return 0 if default_dispatcher() is childs_own else 1

    assert exit_code_of_a_child(in_the_child) == 0


def test_without_anything_that_reads_settings_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metadata, "entry_points", lambda group, name: [])

    with pytest.raises(ConfigurationError, match="pip install failsoft"):
        default_dispatcher()
