"""An evening at a shop: Redis is killed, and a person sees it and puts right what is left."""

import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from failsoft.console import Actor, console
from failsoft.job_engine.records.states import JobState
from failsoft.ledger import SqlLedger
from failsoft.ledger.schema.tables import samples
from failsoft.worker.configuration.settings import load_settings
from failsoft.worker.console_environment import own_environment
from tests.browser.conftest import DESK, Camera, cancel_all, serving
from tests.browser.story_jobs import (
    Order,
    charge_card,
    import_orders,
    reserve_stock,
    send_receipt,
)
from tests.deployments.deployment import Deployment
from tests.servers.processes import PATIENCE, wait_until
from tests.servers.valkey import Valkey

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

#: So many receipts nobody wants any more.
UNWANTED = 10_000


def test_an_outage_is_seen_understood_and_put_right(  # noqa: PLR0915, PLR0917 - one story
    shop: Deployment, valkey: Valkey, browser: Any, tmp_path: Path, camera: Camera
) -> None:
    ledger, dispatch = shop.app.ledger, shop.app.dispatcher.dispatch
    app = console(
        environment=own_environment(load_settings()),
        authenticate=lambda _: Actor.of("ada", "admin"),
    )
    _an_hour_before(ledger)
    rq = shop.worker("rq", "orders")
    dramatiq = shop.worker("dramatiq", "orders")
    shop.wait_for(rq, dramatiq)
    gate = tmp_path / "gate"
    with serving(app) as base:
        page = browser.new_page(viewport=DESK, color_scheme="dark")
        reports: list[str] = []
        page.on("console", lambda said: reports.append(said.text))
        page.on("pageerror", lambda error: reports.append(str(error)))

        # Two hundred jobs, and all is well.
        moving = dispatch(import_orders, Order(file="orders.csv", gate=str(gate)))
        doubtful = dispatch(charge_card, Order(order=4711, gate=str(gate)))
        failed = dispatch(reserve_stock, Order(order=9))
        for number in range(137):
            dispatch(send_receipt, Order(order=number))
        later = [Order(order=number) for number in range(UNWANTED)]
        shop.app.dispatcher.dispatch_many(send_receipt, later, delay=timedelta(hours=2))
        running = JobState.RUNNING
        wait_until(
            lambda: (
                len(ledger.steps(moving.id)) == 2
                and ledger.get(doubtful.id).state is running
                and ledger.steps(doubtful.id)
            ),
            PATIENCE,
            "the import is in its third step",
        )
        page.goto(base)
        page.wait_for_selector(".engine.trusted")
        camera.take(page, "failover-1-before")

        # Redis is killed. The page says so by itself.
        valkey.kill()
        for number in range(20):
            # Due in a moment: the workers offer them, so their breakers open, too.
            soon = timedelta(milliseconds=200 * number)
            dispatch(send_receipt, Order(order=1000 + number), delay=soon)
        page.wait_for_selector(".engine.open", timeout=180_000)
        page.wait_for_selector("text=Jobs left", timeout=180_000)
        camera.take(page, "failover-2-open")

        # The host of the RQ workers goes as well: what ran there runs on from its last step.
        page.goto(f"{base}/jobs/{moving.id}")
        rq.process.kill()
        gate.touch()
        page.wait_for_selector(".lanes .arrow", timeout=180_000)
        camera.take(page, "failover-3-moved")
        page.wait_for_selector(".head .state.succeeded", timeout=180_000)
        camera.take(page, "failover-4-done")
        assert [step.epoch for step in ledger.steps(moving.id)][:2] == [1, 1]
        assert ledger.get(moving.id).engine == "dramatiq"

        # What failed is done again.
        page.goto(f"{base}/failed")
        page.click("text=reserve_stock")
        page.click(f"#row-{failed.id} a")
        page.keyboard.press("r")
        page.keyboard.type("stock is back")
        page.keyboard.press("Enter")
        page.wait_for_selector("[role=status]:has-text('is done again')")
        assert ledger.again(failed.id)

        # What is in doubt is decided.
        wait_until(
            lambda: ledger.get(doubtful.id).state is JobState.HELD, 2 * PATIENCE, "it is held"
        )
        page.goto(f"{base}/jobs/{doubtful.id}")
        page.click("details[data-action=resume] summary")
        page.fill("input[name='done.charge']", "4711")
        page.fill("details[data-action=resume] input[name=reason]", "the bank has it")
        page.click("details[data-action=resume] form button")
        page.wait_for_selector("[role=status]:has-text('is scheduled')")

        # And what nobody wants any more is cancelled, all of it at once.
        page.goto(f"{base}/jobs?state=scheduled&name=send_receipt")
        camera.take(page, "jobs")
        cancel_all(page, "the sale is over")
        page.wait_for_selector(".head .state.succeeded", timeout=600_000)
        assert ledger.count({"states": (JobState.CANCELLED,)}).number == UNWANTED

        # All of that is on record.
        page.goto(f"{base}/activity")
        text = page.inner_text("main")
        for said in ("Jobs left rq", "A job is held", "A job failed for good", "A bulk is through"):
            assert said in text, said
        for said in ("stock is back", "the bank has it", "the sale is over"):
            assert f"“{said}”" in text, said
        assert re.search(r"ada resume", text)
        camera.take(page, "activity")
        _pictures(browser, base, {"job": f"/jobs/{moving.id}", "overview": "/"}, camera)
        assert not reports


def _an_hour_before(ledger: SqlLedger) -> None:
    """Keep figures of the hour before, as a shop that is open all day has them."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    totals = {"succeeded": 4000, "failed": 12, "cancelled": 3}
    found = []
    for ago in range(60, 0, -1):
        totals["succeeded"] += 40 + round(18 * math.sin(ago / 6)) + ago % 7
        totals["failed"] += ago % 11 == 0
        for metric, value in totals.items():
            of = {"queue": "orders", "engine": "rq", "metric": metric, "value": value}
            found.append({"minute": now - timedelta(minutes=ago), **of})
    ledger.database.write(lambda connection: connection.execute(samples.insert(), found))


def _pictures(browser: Any, base: str, paths: dict[str, str], camera: Camera) -> None:
    """Keep the screens that people look at most, light, dark and as a phone shows them."""
    for name, scheme, size in (
        ("light", "light", DESK),
        ("dark", "dark", DESK),
        ("phone", "dark", {"width": 390, "height": 844}),
    ):
        page = browser.new_page(viewport=size, color_scheme=scheme)
        for screen, path in paths.items():
            page.goto(base + path)
            camera.take(page, f"{screen}-{name}")
        page.close()
