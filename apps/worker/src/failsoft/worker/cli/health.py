"""`failsoft health`."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import click

from failsoft.worker.cli.options import duration_option
from failsoft.worker.cli.output import say
from failsoft.worker.exit_codes import TRY_AGAIN
from failsoft.worker.health.state_file import runtime_folder, states


@click.command()
@click.option("--ready", is_flag=True, help="Also expect every post to serve.")
@duration_option("--max-age", text="How old a supervisor's last report may be.", default="60s")
def health(*, ready: bool, max_age: timedelta) -> None:
    """Probe the supervisors of this user on this host, without a server or a port.

    For probes that run a command in a container, or for a person. Each supervisor reports every
    five seconds in the runtime folder: RUNTIME_DIRECTORY, or XDG_RUNTIME_DIR and `failsoft`, or
    `failsoft-UID` among the temporary folders. No broker and no ledger is used.

    Ends with 0 when all is well, with 75 when there is no supervisor, one has not reported for too
    long or is not live, or with --ready a post does not serve.
    """
    folder = runtime_folder(os.environ)
    reasons = list(_reasons(folder, max_age, ready=ready))
    for each in reasons:
        say(each, "red", err=True)
    if reasons:
        raise SystemExit(TRY_AGAIN)
    say("ready" if ready else "live", "green")


def _reasons(folder: Path, max_age: timedelta, *, ready: bool) -> Iterator[str]:
    try:
        found = list(states(folder))
    except (OSError, ValueError) as error:
        yield f"expected the states of workers in {folder}, got none that can be read: {error}"
        return
    if not found:
        yield f"expected a worker that reports in {folder}, got none"
    for age, state in found:
        # What a restart of the host has left is from the future.
        if not 0 <= age <= max_age.total_seconds():
            yield f"worker {state.pid} has not reported for {abs(age):.0f} s"
        yield from state.livez
        if ready:
            yield from state.readyz
