"""What the code of every attempt of this process runs within, as the context of a web app."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

Surrounding = Callable[[], AbstractContextManager[object]]

_surroundings: list[Surrounding] = []


def surround_attempts(enter: Surrounding) -> None:
    """Have every attempt of this process run within a context; what is there twice counts once.

    A job module calls it while it is imported. An error that the context raises is the job's.

    Args:
        enter: Returns a new context for one attempt. It is entered in the thread that runs the
            job's code, and left there whatever ends the attempt.
    """
    if enter not in _surroundings:
        _surroundings.append(enter)


@contextmanager
def surrounded() -> Iterator[None]:
    """Enter every context, the first one first."""
    with ExitStack() as stack:
        for enter in tuple(_surroundings):
            stack.enter_context(enter())
        yield
