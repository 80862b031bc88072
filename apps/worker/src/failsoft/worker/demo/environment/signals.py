"""Ending early on a signal, without leaving anything behind."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType, TracebackType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class OneInterruption:
    """A signal handler that raises once: a second signal does not interrupt the cleanup."""

    def __init__(self) -> None:
        self._left = [True]

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Raise, unless it did before."""
        if self.spend():
            raise KeyboardInterrupt if signum == signal.SIGINT else SystemExit(128 + signum)

    def spend(self) -> bool:
        """Raise no more; return whether it could raise until now."""
        try:
            # In one instruction: another signal may arrive between any two.
            return self._left.pop()
        except IndexError:
            return False


@contextmanager
def interrupted_once() -> Iterator[OneInterruption]:
    """Let the first SIGINT, SIGTERM or SIGHUP unwind the program, and ignore the others."""
    handler = OneInterruption()
    before = {each: signal.getsignal(each) for each in _ENDING}
    # A signal that `nohup` or a shell had this program ignore stays ignored.
    heeded = [each for each, previous in before.items() if previous is not signal.SIG_IGN]
    try:
        for each in heeded:
            signal.signal(each, handler)
        yield handler
    finally:
        for each in heeded:
            signal.signal(each, before[each])


class UninterruptedStack(ExitStack):
    """An exit stack whose cleanup no signal interrupts."""

    def __init__(self, interruption: OneInterruption) -> None:
        super().__init__()
        self._interruption = interruption

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> bool | None:
        try:
            self._interruption.spend()
        finally:
            handled = super().__exit__(kind, error, trace)
        return handled
