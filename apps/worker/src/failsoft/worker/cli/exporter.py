"""`failsoft exporter`: the figures of the ledger, for Prometheus."""

import sys
import threading

import click

from failsoft.job_engine.errors import ConfigurationError
from failsoft.worker.cli.options import json_option
from failsoft.worker.cli.output import print_json, say
from failsoft.worker.cli.resources import loaded_catalogue, opened_app
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.exporting import exporter_of
from failsoft.worker.processes.signals import on_stop_signals

#: The port that Prometheus scrapes by default.
PORT = 9642
_HIGHEST_PORT = 65535


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, _HIGHEST_PORT),
    default=PORT,
    show_default=True,
    help="Where to listen; 0 for any port that is free.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--probe/--no-probe",
    default=True,
    show_default=True,
    help="Probe every engine each 15 s, by a write.",
)
@json_option
def exporter(*, port: int, host: str, probe: bool, as_json: bool) -> None:
    """Serve the figures of the ledger to Prometheus, until a signal.

    Every figure comes from the ledger, so the page is right with every engine down, and one
    exporter is enough for any number of hosts.
    """
    settings = load_settings()
    if len(settings.by_ledger()) > 1:
        raise ConfigurationError(
            f"expected one ledger, got {', '.join(settings.ledgers)}; run an exporter for each: "
            "failsoft --ledger NAME exporter"
        )
    loaded_catalogue(settings)  # its modules declare queues
    app = opened_app(settings)
    made = exporter_of(app, probe=probe)
    from failsoft.telemetry.ways_out import server  # noqa: PLC0415 - an extra

    try:
        serving = server(made, host, port)
    except OSError as error:
        raise ConfigurationError(
            f"expected a free port, got {host}:{port} ({error.strerror}); choose one by --port"
        ) from error
    # In a thread: it waits for the loop that the signal has interrupted.
    stop = threading.Thread(target=serving.shutdown, name="failsoft-stop", daemon=True)
    on_stop_signals(stop.start)
    url = f"http://{host}:{serving.server_port}/metrics"
    if as_json:
        print_json({"url": url})
    else:
        say(f"serving {url}")
    sys.stdout.flush()
    with serving:
        serving.serve_forever(poll_interval=0.1)
