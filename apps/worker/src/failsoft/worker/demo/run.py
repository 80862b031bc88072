"""The whole demo, from the start of its environment to the verdict."""

from collections.abc import Sequence

from rich.console import Console

from failsoft.dispatcher.plugins.discovery import EngineName
from failsoft.worker.demo.checks import Verdict, judge, problems
from failsoft.worker.demo.collect import gather, unexplained
from failsoft.worker.demo.display.live_display import LiveDisplay
from failsoft.worker.demo.display.rendering import Goals, summary
from failsoft.worker.demo.display.status import read_status
from failsoft.worker.demo.environment.airports import airports_csv, read_airports
from failsoft.worker.demo.environment.environment import started_environment
from failsoft.worker.demo.environment.extras import require_extras
from failsoft.worker.demo.plan import make_plan
from failsoft.worker.demo.scenario import Scenario
from failsoft.worker.logs.visible import visible


def run_demo(
    console: Console, engines: Sequence[EngineName], *, jobs: int, seed: int, ledgers: int = 1
) -> tuple[Verdict, Sequence[str]]:
    """Run the demo and report it on a console; return the verdict and its failed conditions.

    Args:
        console: Where the demo is reported.
        engines: The engine that fails, and its fallback.
        jobs: How many webhooks are dispatched.
        seed: The same seed makes the same payloads and the same moment of the kill.
        ledgers: How many ledgers the jobs are divided among.

    Raises:
        FailsoftError: If it could not be carried out.
    """
    require_extras()
    airports = read_airports(airports_csv())
    plan = make_plan(jobs, seed, airports)
    console.print(f"[bold]Failsoft demo[/], seed {seed}")
    with started_environment(engines, ledgers) as environment:
        display = LiveDisplay(console, Goals(plan.webhooks, len(airports)))
        with display.live(lambda: read_status(environment, plan.webhooks + 1)):
            application = Scenario(environment, plan, display.say).run()
        evidence = gather(environment, plan, application)
        verdict = judge(evidence)
        failed = problems(verdict)
        console.print(summary(evidence, verdict, failed))
        if failed:
            lines = map(visible, unexplained(environment))
            console.print("\n".join(lines), markup=False, soft_wrap=True)
    return verdict, failed
