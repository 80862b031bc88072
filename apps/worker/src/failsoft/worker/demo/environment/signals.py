"""Ending early without leaving anything behind."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType, TracebackType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class OneInterruption:
    """A signal handler that raises once; whoever is impatient does not cut the cleaning short."""

    def __init__(self) -> None:
        """Be ready to raise."""
        self._left = [True]

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Raise, unless it did before."""
        if self.spend():
            raise KeyboardInterrupt if signum == signal.SIGINT else SystemExit(128 + signum)

    def spend(self) -> bool:
        """Raise no more; return whether it could until now."""
        try:
            # In one instruction: another signal may come between any two.
            return self._left.pop()
        except IndexError:
            return False


@contextmanager
def interrupted_once() -> Iterator[OneInterruption]:
    """Let the first SIGINT, SIGTERM or SIGHUP unwind the program, and ignore the others."""
    handler = OneInterruption()
    before = {each: signal.getsignal(each) for each in _ENDING}
    # What `nohup` or a shell had this program ignore, it goes on ignoring.
    heeded = [each for each, previous in before.items() if previous is not signal.SIG_IGN]
    try:
        for each in heeded:
            signal.signal(each, handler)
        yield handler
    finally:
        for each in heeded:
            signal.signal(each, before[each])


class UnhurriedStack(ExitStack):
    """An exit stack that no signal interrupts once it cleans up."""

    def __init__(self, interruption: OneInterruption) -> None:
        """Clean up undisturbed by that handler."""
        super().__init__()
        self._interruption = interruption

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> bool | None:
        """Ignore signals, then clean up."""
        try:
            self._interruption.spend()
        finally:
            handled = super().__exit__(kind, error, trace)
        return handled
