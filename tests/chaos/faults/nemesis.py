"""What a nemesis is: something that goes wrong for a while, and is put right again."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from random import Random

#: Does the harm when entered and undoes it when left; gives what was hit, or None if nothing was.
Strike = Callable[[Random], AbstractContextManager[str | None]]


@dataclass(frozen=True, slots=True)
class Nemesis:
    """One kind of misfortune.

    Attributes:
        lane: Misfortunes of one lane come one after another; lanes run side by side.
        shortest: How long it lasts at least, in seconds.
        longest: And at most.
        rest: How long its lane keeps quiet afterwards, besides the usual pause.
    """

    kind: str
    lane: str
    strike: Strike
    shortest: float = 0.5
    longest: float = 3.0
    rest: float = 0.0
