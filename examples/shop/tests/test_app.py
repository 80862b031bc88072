"""The requests, on a ledger in a file: an order and its job are there together, or not at all."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from failsoft.api import default_dispatcher, use_dispatcher
from shop import app as shop_app
from shop.database import engine, transaction
from shop.jobs.orders import carry_out
from shop.tables import Order

WISH = {"sku": "cup", "quantity": 2, "email": "ada@example.org"}


@pytest.fixture(scope="module")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the tables of a ledger once, as `failsoft ledger upgrade` does."""
    place = tmp_path_factory.mktemp("ledger") / "empty.db"
    failsoft = Path(sys.executable).with_name("failsoft")
    env = {**os.environ, "FAILSOFT_LEDGER_URL": f"sqlite:///{place}"}
    subprocess.run([failsoft, "ledger", "upgrade"], check=True, env=env, capture_output=True)
    return place


@pytest.fixture
def client(
    empty_ledger: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TestClient]:
    """Serve the app, with a ledger of its own and an engine that needs no broker."""
    monkeypatch.setenv("FAILSOFT_ENGINES", "ledger")
    monkeypatch.setenv("FAILSOFT_CONSOLE", "true")
    monkeypatch.setenv("SHOP_STAFF_TOKEN", "of-the-staff")
    engine().dispose()
    shutil.copy(empty_ledger, place / "shop.db")
    with TestClient(shop_app.create_app()) as opened:
        yield opened
    use_dispatcher(None)


def orders() -> int:
    with transaction() as session:
        return session.scalar(select(func.count()).select_from(Order)) or 0


def test_an_order_and_its_job_are_one_commit(client: TestClient) -> None:
    answer = client.post("/orders", json=WISH)

    assert (answer.status_code, answer.json()) == (202, {"number": 1, "job": "order-1"})
    assert default_dispatcher().handle(carry_out, "order-1").dispatched.state == "offered"
    state = client.get("/orders/1").json()
    assert state == {"state": "placed", "receipt": None, "job": "offered"}


def test_what_is_refused_after_the_dispatch_leaves_neither(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop_app, "MOST", 100)

    answer = client.post("/orders", json=WISH)

    assert answer.status_code == 422
    assert orders() == 0
    assert not default_dispatcher().holds("order-1")


@pytest.mark.parametrize(
    ("change", "status"),
    [({"sku": "spoon"}, 404), ({"quantity": 0}, 422), ({"email": "nobody"}, 422)],
)
def test_a_wrong_wish_leaves_nothing(
    change: dict[str, object], status: int, client: TestClient
) -> None:
    assert client.post("/orders", json=WISH | change).status_code == status
    assert orders() == 0


def test_news_of_the_warehouse_go_to_the_job(client: TestClient) -> None:
    client.post("/orders", json=WISH)

    for _ in "once", "twice":
        assert client.post("/orders/1/parcel", json={"tracking": "P-1"}).status_code == 202
    assert client.post("/orders/2/parcel", json={"tracking": "P-1"}).status_code == 404


def test_the_console_is_for_the_staff(client: TestClient) -> None:
    client.post("/orders", json=WISH)

    token = {"authorization": "Bearer of-the-staff"}
    found = client.get("/console/jobs", headers=token)
    assert found.status_code == 200
    assert "order-1" in found.text
    assert client.get("/console/jobs").status_code == 401
