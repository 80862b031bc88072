"""The main story in a browser: an outage is seen as it comes, and many jobs are cancelled."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from failsoft.console import Actor, console
from failsoft.job_engine.records.states import JobState
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.console_environment import own_environment
from tests.browser.conftest import DESK, cancel_all, serving
from tests.browser.story_jobs import Order, import_orders, send_receipt
from tests.deployments.deployment import Deployment
from tests.servers.processes import PATIENCE, wait_until
from tests.servers.valkey import Valkey

#: Milliseconds that a page may take to show what happened.
SOON = 1000 * PATIENCE


def test_a_page_shows_a_failover_by_itself_and_cancels_all_that_match(  # noqa: PLR0915 - one story
    shop: Deployment, valkey: Valkey, browser: Any, tmp_path: Path
) -> None:
    ledger, dispatch = shop.app.ledger, shop.app.dispatcher.dispatch
    environment = own_environment(load_settings())
    app = console(environment=environment, authenticate=lambda _: Actor.of("ada", "admin"))
    rq = shop.worker("rq", "orders")
    shop.wait_for(rq, shop.worker("dramatiq", "orders"))
    gate = tmp_path / "gate"
    moving = dispatch(import_orders, Order(file="orders.csv", gate=str(gate)))
    for number in range(60):
        dispatch(send_receipt, Order(order=number), delay=timedelta(hours=2))
    wait_until(lambda: len(ledger.steps(moving.id)) == 2, PATIENCE, "it is in its third step")

    with serving(app) as base:
        page = browser.new_page(viewport=DESK)
        reports: list[str] = []
        page.on("console", lambda said: reports.append(said.text))
        page.on("pageerror", lambda error: reports.append(str(error)))

        # The overview is open while Redis is killed, and says so without being loaded again.
        page.goto(base)
        page.wait_for_selector(".engine.trusted")
        valkey.kill()
        dispatch(send_receipt, Order(order=1000))
        page.wait_for_selector("text=Jobs left", timeout=SOON)

        # So does the page of a job, whose worker is killed as well.
        page.goto(f"{base}/jobs/{moving.id}")
        rq.process.kill()
        gate.touch()
        page.wait_for_selector(".lanes .arrow", state="attached", timeout=SOON)
        page.wait_for_selector(".head .state.succeeded", timeout=SOON)
        assert [step.epoch for step in ledger.steps(moving.id)][:2] == [1, 1]
        assert ledger.get(moving.id).engine == "dramatiq"

        page.goto(f"{base}/jobs?state=scheduled&name=send_receipt")
        cancel_all(page, "the sale is over")
        page.wait_for_selector(".head .state.succeeded", timeout=SOON)
        assert ledger.count({"states": (JobState.CANCELLED,)}).number == 60
        page.goto(f"{base}/activity")
        assert "“the sale is over”" in page.inner_text("main")
        assert not reports
    environment.close()
