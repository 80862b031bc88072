"""The demo's output while it runs: lines and, on a terminal, a live table below them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from failsoft.job_engine.errors import LedgerError
from failsoft.worker.demo.display.rendering import Goals, draw
from failsoft.worker.demo.display.status import Status
from failsoft.worker.logs.visible import visible

REFRESH_PER_SECOND = 4


class LiveDisplay:
    """Prints lines with the time since its creation; on a terminal a live table is below them."""

    def __init__(self, console: Console, goals: Goals) -> None:
        self._console = console
        self._goals = goals
        self._began = time.monotonic()
        self._drawn: RenderableType = Text("")

    def say(self, words: str) -> None:
        """Print what happens, and when."""
        words = visible(words)
        moment = f"{time.monotonic() - self._began:5.1f} s"
        if not self._console.is_terminal:
            self._console.print(f"{moment}  {words}", soft_wrap=True, markup=False)
            return
        line = Table.grid(padding=(0, 1))
        line.add_column(style="dim", no_wrap=True)
        line.add_row(moment, Text(words))
        self._console.print(line)

    @contextmanager
    def live(self, look: Callable[[], Status]) -> Iterator[None]:
        """Show the live table meanwhile, if this is a terminal that can redraw it."""
        if not self._console.is_terminal or self._console.is_dumb_terminal:
            yield
            return

        def refreshed() -> RenderableType:
            # A ledger that is busy now is read a moment later.
            with suppress(LedgerError):
                self._drawn = draw(look(), self._goals)
            return self._drawn

        with Live(
            console=self._console,
            get_renderable=refreshed,
            refresh_per_second=REFRESH_PER_SECOND,
        ):
            yield
