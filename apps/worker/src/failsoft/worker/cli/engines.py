"""`failsoft engines`, and those of its commands that switch engines off, on, or over."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta

import click

from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.ports.engine import EngineHealth
from failsoft.job_engine.ports.ledger import Ledger
from failsoft.job_engine.records.engine_switch import DisabledEngine, EngineLoad
from failsoft.job_engine.records.job import WorkerRecord
from failsoft.job_engine.records.pauses import Pause
from failsoft.job_engine.validation import Expect
from failsoft.worker.cli.acting import acting
from failsoft.worker.cli.engine_kit.conformance import test_command
from failsoft.worker.cli.engine_kit.scaffold import new_command
from failsoft.worker.cli.engine_plugins import list_command, prepare_command
from failsoft.worker.cli.options import actor, json_option, reason_option
from failsoft.worker.cli.output import answer, counted, print_json, print_table, say
from failsoft.worker.cli.resources import loaded_catalogue, opened_app, opened_ledger
from failsoft.worker.configuration.settings import Settings, load_settings
from failsoft.worker.exit_codes import UNAVAILABLE
from failsoft.worker.probes import probed

_OF_OTHERS = EngineHealth(healthy=False, detail="not probed: not in FAILSOFT_ENGINES here")


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def engines(context: click.Context, *, as_json: bool) -> None:
    """Probe every engine and show the workers of each queue; list, prepare, drain, pause, test.

    A probe writes what a dispatch would write. Workers are those whose heartbeat is fresh. The
    breakers are not shown: each process that dispatches has its own. Ends with 69 if no engine is
    healthy. Engines that live workers serve and this program does not have are not probed.
    """
    if context.invoked_subcommand is None:
        _show(as_json=as_json)


engines.add_command(list_command)
engines.add_command(prepare_command)
engines.add_command(new_command)
engines.add_command(test_command)


@engines.command("disable")
@click.argument("name")
@reason_option("Why; shown with the engine.")
@json_option
def disable_command(*, name: str, reason: str, as_json: bool) -> None:
    """Let engine NAME get no offers from any process, within two seconds.

    What it was offered before is picked up as usual, or moves to another engine in time.
    """
    settings = load_settings()
    ledger = opened_ledger(settings)
    _expect_known(name, _known(settings, ledger))
    with acting(ledger, "disable", ("engine", name), reason):
        holds = ledger.disable_engine(DisabledEngine(name, actor(), reason))
    answer(holds, str(holds), "yellow", as_json=as_json)
    if not as_json:
        _warn_if_none_is_left(settings, ledger)


@engines.command("enable")
@click.argument("name")
@json_option
def enable_command(*, name: str, as_json: bool) -> None:
    """Let engine NAME get offers again."""
    settings = load_settings()
    ledger = opened_ledger(settings)
    disabled = [each.name for each in ledger.disabled_engines()]
    _expect_known(name, [*_known(settings, ledger), *disabled])
    was_disabled = ledger.enable_engine(name)
    change = "gets offers again" if was_disabled else "was not disabled"
    found = {"name": name, "was_disabled": was_disabled}
    answer(found, f"engine {name} {change}", "green", as_json=as_json)
    if not as_json and (variable := settings.disabled.get(name)):
        say(_by_setting(name, variable), "yellow")


@engines.command("drain")
@click.argument("name")
@click.option(
    "--move-waiting",
    is_flag=True,
    help="Offer what waits there to other engines now, a batch at a time, under a new epoch.",
)
@reason_option("Why; shown with the engine.")
@json_option
def drain_command(*, name: str, move_waiting: bool, reason: str, as_json: bool) -> None:
    """Let engine NAME get no offers, as `disable` does, and say what it still has.

    What waits there is claimed by its workers, which go on, or moves to another engine in time;
    with --move-waiting at once, by the workers' maintenance, so many a second. Repeat the command
    to see what is left.
    """
    settings = load_settings()
    ledger = opened_ledger(settings)
    _expect_known(name, _known(settings, ledger))
    holds = ledger.disable_engine(DisabledEngine(name, actor(), reason))
    load = ledger.engine_load(name)
    if move_waiting:
        for queue in load.waiting:
            ledger.hasten(name, queue, timedelta(0))
    found = {"disabled": holds, "waiting": load.waiting, "running": load.running}
    answer(found | {"moves": move_waiting}, str(holds), "yellow", as_json=as_json)
    if not as_json:
        say(_left(load, moves=move_waiting))
        _warn_if_none_is_left(settings, ledger)


@engines.command("pause")
@click.argument("name")
@reason_option("Why; shown with the engine.")
@json_option
def pause_command(*, name: str, reason: str, as_json: bool) -> None:
    """Let no job begin on engine NAME, and no offer go there; what runs goes on to its end.

    What waits there is not claimed until it is resumed, or moves to another engine in time.
    """
    settings = load_settings()
    ledger = opened_ledger(settings)
    _expect_known(name, _known(settings, ledger))
    with acting(ledger, "pause", ("engine", name), reason):
        holds = ledger.pause(Pause("engine", name, actor(), reason))
    answer(holds, str(holds), "yellow", as_json=as_json)
    if not as_json:
        _warn_if_none_is_left(settings, ledger)


@engines.command("resume")
@click.argument("name")
@json_option
def resume_command(*, name: str, as_json: bool) -> None:
    """Let engine NAME get offers, and jobs begin on it: it is neither paused nor disabled then."""
    settings = load_settings()
    ledger = opened_ledger(settings)
    _expect_known(name, [*_known(settings, ledger), *_disabled(settings, ledger)])
    with acting(ledger, "resume", ("engine", name)):
        was_paused = ledger.unpause("engine", name)
    with acting(ledger, "enable", ("engine", name)):
        was_disabled = ledger.enable_engine(name)
    change = "gets offers again" if was_paused or was_disabled else "was not paused or disabled"
    found = {"name": name, "was_paused": was_paused, "was_disabled": was_disabled}
    answer(found, f"engine {name} {change}", "green", as_json=as_json)
    if not as_json and (variable := settings.disabled.get(name)):
        say(_by_setting(name, variable), "yellow")


def _left(load: EngineLoad, *, moves: bool) -> str:
    waiting = sum(load.waiting.values())
    fate = "to move to other engines now" if moves else "to be claimed there, or moved in time"
    running = counted(load.running, "attempt")
    return f"waiting there: {counted(waiting, 'offer')}, {fate}; running there: {running}"


def _warn_if_none_is_left(settings: Settings, ledger: Ledger) -> None:
    if not set(settings.engine_names) - _disabled(settings, ledger).keys():
        say("no engine is left: jobs wait in the ledger until one is resumed", "yellow")


def _show(*, as_json: bool) -> None:
    settings = load_settings()
    loaded_catalogue(settings)  # its modules declare queues
    app = opened_app(settings)
    live = app.ledger.live_workers()
    disabled = _disabled(settings, app.ledger)
    found = [_row(engine, queue, health, live) for engine, queue, health in probed(app.engines)]
    found += [
        _row(*each, _OF_OTHERS, live) for each in _served_by_others(settings.engine_names, live)
    ]
    if as_json:
        print_json([row | {"disabled": disabled.get(str(row["engine"]))} for row in found])
    else:
        columns = ("engine", "queue", "healthy", "workers", "backlog", "detail")
        print_table("Engines", columns, ([row[column] for column in columns] for row in found))
        for line in dict.fromkeys((*disabled.values(), *map(str, app.ledger.pauses()))):
            say(line, "yellow")
    if not any(row["healthy"] for row in found):
        raise SystemExit(UNAVAILABLE)


def _known(settings: Settings, ledger: Ledger) -> list[str]:
    live = {worker.engine for worker in ledger.live_workers()}
    return [*settings.engine_names, *sorted(live - set(settings.engine_names))]


def _expect_known(name: str, known: Sequence[str]) -> None:
    Expect(OptionInvalidError).known("the name of an engine", {name: None}, known)


def _disabled(settings: Settings, ledger: Ledger) -> Mapping[str, str]:
    """Return the engines that get no offers, each with a line that names whose decision it is."""
    paused = {each.name: str(each) for each in ledger.pauses() if each.kind == "engine"}
    disabled = {each.name: str(each) for each in ledger.disabled_engines()}
    here = {name: _by_setting(name, variable) for name, variable in settings.disabled.items()}
    return here | paused | disabled


def _by_setting(name: str, variable: str) -> str:
    return f"engine {name} disabled by {variable}, for processes with this environment"


def _served_by_others(
    engines: Sequence[str], live: Sequence[WorkerRecord]
) -> Iterator[tuple[str, str]]:
    served = {(worker.engine, worker.queue) for worker in live}
    return (each for each in sorted(served) if each[0] not in engines)


def _row(
    engine: str, queue: str, health: EngineHealth, live: Sequence[WorkerRecord]
) -> dict[str, object]:
    workers = sum((worker.engine, worker.queue) == (engine, queue) for worker in live)
    return {"engine": engine, "queue": queue, "workers": workers, **asdict(health)}
