"""`python -m tests.docs PAGE`: run the program that a page of the guide shows."""

import contextlib
import io
import os
import sys
import traceback
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import NoReturn

from failsoft.dispatcher import use_dispatcher
from failsoft.ledger.upgrade.run import upgrade
from failsoft.testing import MemoryEngine
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.ledger_access import open_database
from failsoft.worker.wiring import App, build
from tests.docs.memory_workers import PageCatalogue, serve_every_queue
from tests.docs.page import Block, blocks_of

#: How often scheduler, rescuer and heartbeats look: a page is not to wait for them.
LOOK_EVERY = timedelta(milliseconds=100)


@contextlib.contextmanager
def _house(page: ModuleType) -> Iterator[None]:
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["FAILSOFT_LEDGER_URL"] = f"sqlite:///{folder}/ledger.db"
        os.environ["FAILSOFT_ENGINES"] = "memory"
        settings = load_settings().model_copy(
            update={"maintenance_every": LOOK_EVERY, "worker_beat": LOOK_EVERY}
        )
        upgrade(open_database(settings))
        jobs = PageCatalogue(page, ())
        app = build(settings, listener=lambda event: None, jobs=jobs)
        use_dispatcher(app.dispatcher)
        serve_every_queue(app, page, _memory_of(app))
        yield


def _memory_of(app: App) -> MemoryEngine:
    engine = app.engines._engines["memory"].adapter
    assert isinstance(engine, MemoryEngine)
    return engine


def _run(block: Block, page: ModuleType) -> bool:
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(block.code, page.__file__ or "", "exec"), vars(page))  # noqa: S102 - the page's own code
    except Exception:  # noqa: BLE001 - whatever a block raises fails its page
        sys.stderr.write(printed.getvalue())
        traceback.print_exc()
        return False
    sys.stdout.write(printed.getvalue())
    if block.printed is None or printed.getvalue() == block.printed:
        return True
    where = f"{page.__file__}:{block.line}"
    sys.stderr.write(f"{where}: expected it to print\n{block.printed}got\n{printed.getvalue()}")
    return False


def main() -> NoReturn:
    """Run a page, and end with its exit code."""
    path = Path(sys.argv[1])
    page = ModuleType("page")
    page.__file__ = str(path)
    sys.modules["page"] = page
    with _house(page):
        code = int(not all(_run(block, page) for block in blocks_of(path)))
    sys.stdout.flush()
    sys.stderr.flush()
    # The workers' threads would go on.
    os._exit(code)


if __name__ == "__main__":
    main()
