"""An exporter as a process, and what it shows."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from tests.deployments.deployment import PATIENCE, Deployment, installed_command
from tests.metrics.exposition import Figures, figures, value
from tests.servers.processes import wait_until


class RunningExporter:
    """`failsoft exporter` of a deployment's ledger.

    Attributes:
        url: Where its page is.
    """

    def __init__(self, deployment: Deployment, *words: str) -> None:
        command = (installed_command("failsoft"), "exporter", "--port", "0", "--json", *words)
        self.process = deployment.processes.start(*command)
        self.process.wait_for_output("}", PATIENCE)
        self.url: str = json.loads(self.process.output)["url"]

    def page(self) -> Figures:
        """Return the figures that it shows now, which may be five seconds old."""
        with urllib.request.urlopen(self.url, timeout=PATIENCE) as answer:  # noqa: S310 - its own
            return figures(answer.read().decode())

    def wait_until(self, name: str, expected: float, **labels: str) -> Figures:
        """Return the first figures in which the samples of a name amount to a number."""

        def found() -> Figures | None:
            page = self.page()
            return page if value(page, name, **labels) == expected else None

        page = wait_until(found, PATIENCE, f"{expected} of {name} {labels}")
        assert page is not None
        return page


@contextmanager
def exporting(deployment: Deployment, *words: str) -> Iterator[RunningExporter]:
    """Run an exporter, and kill it."""
    running = RunningExporter(deployment, *words)
    try:
        yield running
    finally:
        running.process.kill()
