"""What the names of jobs are shown as: programs that make names at run time must not flood."""

from collections.abc import Iterable

#: So many names of jobs are shown at most.
MOST = 500
#: What the others are shown as.
OTHER = "other"


class JobNames:
    """The names that are shown, which stay so as long as the exporter runs.

    Up to `MOST` they are all of them. Of more, those that were met first, and those met together
    in the order of the alphabet.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._shown = set[str]()

    def meet(self, names: Iterable[str]) -> None:
        """Show names, as long as there is room."""
        new = sorted(set(names) - self._shown)
        self._shown.update(new[: self._most - len(self._shown)])

    def shown(self, name: str) -> str:
        """Return what a name is shown as."""
        return name if name in self._shown else OTHER
