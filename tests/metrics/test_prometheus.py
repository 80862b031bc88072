"""A real Prometheus that scrapes a real failover has data for every panel of every board."""

import json
import shutil
import urllib.error
import urllib.parse
import urllib.request
from http import HTTPStatus
from pathlib import Path

import pytest

from deploy.grafana import boards
from failsoft.dispatcher.plugins.embedded_process import free_port
from tests.deployments.deployment import Deployment
from tests.jobs.scripted import Script, brief_in_thread, in_thread
from tests.metrics.promql import filled
from tests.metrics.scraping import exporting
from tests.metrics.test_boards import expressions
from tests.servers.processes import Processes, is_listening, wait_until
from tests.servers.valkey import Valkey

pytestmark = [
    pytest.mark.long,
    pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True),
    pytest.mark.parametrize("fallback_url", ["valkey"], indirect=True),
]
PATIENCE = 120.0
_RULES = boards.HERE.parent / "prometheus" / "alerts.yaml"


class Prometheus:
    """A server that scrapes one exporter each second."""

    def __init__(self, folder: Path, processes: Processes, target: str) -> None:
        program = shutil.which("prometheus")
        assert program, "expected prometheus, got none; run tests/servers/install prometheus"
        self._port = free_port()
        config = folder / "prometheus.yml"
        scraped: dict[str, object] = {
            "job_name": "failsoft",
            "static_configs": [{"targets": [target]}],
        }
        scraped |= {"honor_labels": True}  # as docs/how-to/metrics.md has it
        every = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        settings = {"global": every, "scrape_configs": [scraped], "rule_files": [str(_RULES)]}
        config.write_text(json.dumps(settings))  # JSON is YAML
        listens = f"--web.listen-address=127.0.0.1:{self._port}"
        stored = f"--storage.tsdb.path={folder / 'tsdb'}"
        processes.start(program, f"--config.file={config}", listens, stored)
        wait_until(lambda: is_listening(self._port), PATIENCE, "Prometheus listens")

    def query(self, expression: str) -> list[object]:
        """Return the result of an expression now."""
        words = urllib.parse.urlencode({"query": expression})
        url = f"http://127.0.0.1:{self._port}/api/v1/query?{words}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                found: list[object] = json.loads(answer.read())["data"]["result"]
        except urllib.error.HTTPError as error:
            # It listens before it can answer.
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            return []
        return found


@pytest.fixture
def failing_over(deployment: Deployment, valkey: Valkey) -> Deployment:
    """RQ's Redis was killed between jobs, and one job has failed."""
    deployment.workers("threads")
    deployment.dispatch_many(3, in_thread)
    deployment.dispatch(brief_in_thread, Script(misfortune="stuck in Python"))
    deployment.wait_for_ends()
    valkey.kill()
    deployment.dispatch_many(3, in_thread)
    deployment.wait_for_ends()
    return deployment


def test_every_panel_has_data_of_a_failover(
    failing_over: Deployment, processes: Processes, tmp_path: Path
) -> None:
    with exporting(failing_over) as exporter:
        target = urllib.parse.urlsplit(exporter.url).netloc
        prometheus = Prometheus(tmp_path, processes, target)
        for name in boards.BOARDS:
            for expression in expressions(name):
                query = filled(expression, job="in-thread")
                wait_until(lambda query=query: prometheus.query(query), PATIENCE, query)
        down = 'failsoft_breaker_open{engine="rq"} > 0'
        wait_until(lambda: prometheus.query(down), PATIENCE, "RQ's breaker is open")
        fired = 'ALERTS{alertname="FailsoftEngineDown"}'
        wait_until(lambda: prometheus.query(fired), PATIENCE, "the alert is pending")
