"""Every screen of a console, to be called on a ledger of many jobs."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

from starlette.testclient import TestClient

from failsoft.console import Actor, console
from failsoft.job_engine.ports.console import BulkAction, NewBulk
from failsoft.ledger import Database, SqlLedger
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.console_environment import own_environment
from tests.console.scene import Scene, scene


def play(ledger: SqlLedger, place: Path) -> None:
    """Let everything happen that the screens show; keep the ids of its jobs in a file."""
    shown = scene(ledger)
    bulk = NewBulk("bench-screens", BulkAction.CANCEL, {"queue": "none"}, 0, "bench", "bench")
    ledger.bulk_turn(ledger.bulk_start(bulk).id)
    place.write_text(json.dumps(asdict(shown)))


@contextmanager
def screens(database: Database, place: Path) -> Iterator[Mapping[str, Callable[[], object]]]:
    """Serve a console of a ledger in which everything has happened.

    Args:
        database: The ledger's database.
        place: The file that `play` has written.

    Yields:
        A request for each screen, by its path.
    """
    shown = Scene(**json.loads(place.read_text()))
    settings = Settings(ledger_url=database.url.render_as_string(hide_password=False))
    environment = own_environment(settings)
    app = console(environment=environment, authenticate=lambda request: Actor.of("ada", "admin"))
    with TestClient(app, follow_redirects=False) as client:
        yield {path: partial(_request, client, path) for path in _paths(shown)}
    environment.close()


def _paths(shown: Scene) -> Iterator[str]:
    yield from ("/", "/jobs", "/failed", "/held", "/queues", "/queues/default", "/workers")
    yield from ("/engines", "/schedules", "/definitions", "/definitions/send_email")
    yield from ("/groups", f"/groups/{shown.group}", "/chains", "/activity", "/bulks/bench-screens")
    for line in ("state:failed", "state:succeeded", "queue:bulk", "name:rare_job", "engine:none"):
        yield f"/jobs?q={line}"
    yield from ("/jobs?q=tag:rare", "/jobs?q=worker:none")
    yield "/jobs?q=name:send_mail_1+payload:none"
    yield from ("/bulk?action=cancel", "/bulk?action=retry&q=state:failed")
    for job in (shown.taken_over, shown.failed, shown.held):
        yield from (f"/jobs/{job}", f"/chains/{job}")
    yield from (f"/jobs/{shown.failed}/raw.json", "/search?q=rare_job", f"/search?q={shown.held}")
    yield from ("/api/v1/jobs", "/api/v1/jobs/count", "/api/v1/tally", "/api/v1/failed")
    yield from ("/api/v1/samples", "/api/v1/notices", "/api/v1/audits")


def _request(client: TestClient, path: str) -> None:
    answer = client.get(path)
    if answer.status_code not in {200, 303}:
        raise AssertionError(f"expected the screen {path}, got {answer.status_code}: {answer.text}")
    if "The ledger does not answer." in answer.text:
        raise AssertionError(f"expected what is in the ledger at {path}, got what was before")
