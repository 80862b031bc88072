"""`failsoft notify list|test`."""

from datetime import timedelta

import click

from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.jobs.notifications.send_notification import send_notification
from failsoft.job_engine.validation import did_you_mean
from failsoft.worker.cli.options import duration_option, json_option
from failsoft.worker.cli.output import answer, counted, print_json, print_table
from failsoft.worker.cli.resources import opened_dispatcher
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.notifications import trial


@click.group()
def notify() -> None:
    """Show the channels and rules of notifications, and try a channel."""


@notify.command("list")
@json_option
def list_command(*, as_json: bool) -> None:
    """List the channels, and who is told of what."""
    found = load_settings().notify
    channels = [(name, each.kind, each.place) for name, each in found.channels.items()]
    rules = [
        (", ".join(each.on), each.job, each.to, f"{each.every.total_seconds():g} s", each.digest)
        for each in found.rules
    ]
    of_channels, of_rules = ("channel", "kind", "place"), ("on", "job", "to", "every", "digest")
    if as_json:
        print_json(
            {
                "channels": [dict(zip(of_channels, each, strict=True)) for each in channels],
                "rules": [dict(zip(of_rules, each, strict=True)) for each in rules],
            }
        )
        return
    print_table(counted(len(channels), "channel"), of_channels, channels)
    print_table(counted(len(rules), "rule"), of_rules, rules)


@notify.command("test")
@click.argument("channel")
@duration_option("--timeout", default="30s", text="How long to wait until it was sent.")
@json_option
def test_command(*, channel: str, timeout: timedelta, as_json: bool) -> None:
    """Send a notification to CHANNEL as a job, as any other is sent, and wait for its end.

    The settings of the worker that runs the job decide where it goes.
    """
    settings = load_settings()
    known = settings.notify.channels
    if channel not in known:
        raise ConfigurationError(
            f"expected the name of a channel ({', '.join(known) or 'none there'}), got {channel!r}"
            f"{did_you_mean(channel, known)}; see failsoft notify list"
        )
    handle = opened_dispatcher(settings).dispatch(send_notification, trial(channel))
    sent = handle.result(timeout)
    found = {"id": handle.id, "channel": sent.channel, "kind": sent.kind}
    answer(
        found, f"sent to {sent.channel} ({sent.kind}) by job {handle.id}", "green", as_json=as_json
    )
