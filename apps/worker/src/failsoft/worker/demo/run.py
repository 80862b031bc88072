"""The whole demo, from the empty stage to the verdict."""

from collections.abc import Sequence

from rich.console import Console

from failsoft.worker.demo.checks import Evidence, Verdict, judge, problems
from failsoft.worker.demo.collect import gather, unexplained
from failsoft.worker.demo.display.live_display import Board
from failsoft.worker.demo.display.rendering import Goals, summary
from failsoft.worker.demo.display.status import feel_pulse
from failsoft.worker.demo.environment.airports import airports_csv, read_airports
from failsoft.worker.demo.environment.environment import Stage, set_stage
from failsoft.worker.demo.environment.extras import require_extras
from failsoft.worker.demo.plan import Script, write_script
from failsoft.worker.demo.scenario import Story
from failsoft.worker.logs.visible import visible


def perform(console: Console, *, jobs: int, seed: int) -> tuple[Verdict, Sequence[str]]:
    """Play the demo and tell it on a console; return the verdict and what was missed.

    Args:
        console: Where it is told.
        jobs: How many webhooks are dispatched.
        seed: The same seed makes the same payloads and the same moment of the kill.

    Raises:
        FailsoftError: If it could not be played.
    """
    require_extras()
    airports = read_airports(airports_csv())
    script = write_script(jobs, seed, airports)
    goals = Goals(script.webhooks, len(airports))
    console.print(f"[bold]Failsoft demo[/], seed {seed}")
    with set_stage() as stage:
        evidence = _play(stage, script, Board(console, goals))
        verdict = judge(evidence)
        missed = problems(verdict)
        console.print(summary(evidence, verdict, missed))
        if missed:
            lines = map(visible, unexplained(stage))
            console.print("\n".join(lines), markup=False, soft_wrap=True)
    return verdict, missed


def _play(stage: Stage, script: Script, board: Board) -> Evidence:
    with board.live(lambda: feel_pulse(stage, script.webhooks + 1)):
        record = Story(stage, script, board.say).play()
    return gather(stage, script, record)
