"""`pause` and `resume`, of a queue or of a job definition."""

import click

from understudy.job_engine.pause import Pausable, Pause
from understudy.worker.cli.actor import actor
from understudy.worker.cli.opening import opened_ledger
from understudy.worker.cli.output import json_option, print_json, say
from understudy.worker.settings import load_settings


def pause_command(kind: Pausable, known: str) -> click.Command:
    """Return the command that pauses things of this kind."""

    @click.command("pause", help=f"Let no {known} NAME begin; what runs goes on to its end.")
    @click.argument("name")
    @click.option("--reason", default="", help="Why, for whoever wonders.")
    @json_option
    def pause(*, name: str, reason: str, as_json: bool) -> None:
        ledger = opened_ledger(load_settings())
        holds = ledger.pause(Pause(kind, name, actor(), reason))
        if as_json:
            print_json(holds)
        else:
            say(str(holds), "yellow")

    return pause


def resume_command(kind: Pausable, known: str) -> click.Command:
    """Return the command that lets things of this kind go on."""

    @click.command("resume", help=f"Let {known} NAME begin again.")
    @click.argument("name")
    @json_option
    def resume(*, name: str, as_json: bool) -> None:
        was_paused = opened_ledger(load_settings()).unpause(kind, name)
        if as_json:
            print_json({"kind": kind, "name": name, "was_paused": was_paused})
        else:
            told = "goes on" if was_paused else "was not paused"
            say(f"{kind} {name} {told}", "green")

    return resume
