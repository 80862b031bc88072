"""What a run reports while it goes on."""

from time import monotonic

from rich.console import Console

from tests.chaos.faults.schedule import Fired


class Progress:
    """Prints a line for each phase and each strike, with the seconds since the beginning."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = monotonic()

    def phase(self, what: str) -> None:
        self._print(f"[bold]{what}[/bold]")

    def fired(self, fired: Fired) -> None:
        lasted = (fired.ended - fired.began) / 1e6
        hit = "[dim]nothing to hit[/dim]" if fired.detail is None else fired.detail
        failed = f" [red]{fired.error.strip().splitlines()[-1]}[/red]" if fired.error else ""
        self._print(f"  {fired.kind} [dim]({hit}, {lasted:.1f} s)[/dim]{failed}")

    def _print(self, text: str) -> None:
        self._console.print(f"[dim]{monotonic() - self._began:6.1f}[/dim] {text}", highlight=False)
