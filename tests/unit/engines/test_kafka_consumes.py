"""What `@consumes` accepts, how a record is fitted, and what is kept of one that does not fit."""

import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from failsoft.api import JobContext, SecretText, job
from failsoft.dispatcher.options.checks import MAX_KEY_CHARS
from failsoft.engine_api import DefinitionError, NonRetryableError
from failsoft.engines.kafka import Record, consumes, produce, published_id
from failsoft.engines.kafka.consuming import declaration
from failsoft.engines.kafka.consuming.declaration import (
    Consumption,
    consumption_of,
    consumptions,
    expect_shards,
)
from failsoft.engines.kafka.consuming.unfit import MAX_KEPT_BYTES, UnfitRecord, unfit
from failsoft.job_engine.errors import StepError
from failsoft.job_engine.outbox import OutboxRecord, collecting


class Order(BaseModel):
    order: int
    note: SecretText | None = None


@job
def bill(payload: Order, ctx: JobContext) -> None: ...


@job
def ship(payload: Order, ctx: JobContext) -> None: ...


RECORD = Record("orders", 3, 17, 1_700_000_000_000, b"7", b'{"order": 7}', (("kind", b"new"),))


@pytest.fixture(autouse=True)
def nothing_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declaration, "_declared", {})


@pytest.fixture
def found() -> Consumption:
    consumes("orders")(bill)
    made = consumption_of("kafka", "orders", "bill")
    assert made is not None
    return made


def test_a_record_is_the_jobs_payload_under_a_key_of_its_place(found: Consumption) -> None:
    request = found.fit(RECORD)

    assert request is not None
    assert request.payload == Order(order=7)
    assert request.options == {
        "idempotency_key": "orders/3/17@1700000000000",
        "idempotency_for": timedelta(days=14),
    }


def test_a_group_is_the_jobs_own_unless_one_is_named(found: Consumption) -> None:
    consumes("orders", group="shipping")(ship)

    assert {group: list(topics) for group, topics in consumptions("kafka", "app").items()} == {
        "app.bill": ["orders"],
        "shipping": ["orders"],
    }
    assert consumptions("another", "app") == {}


def test_two_jobs_of_one_group_and_topic_are_refused(found: Consumption) -> None:
    consumes("orders", group="app.bill")(ship)

    with pytest.raises(DefinitionError, match="expected one job for topic orders in group"):
        consumptions("kafka", "app")


def test_one_group_begins_at_one_place(found: Consumption) -> None:
    consumes("others", group="app.bill", begin="latest")(ship)

    with pytest.raises(DefinitionError, match="expected one begin= for all topics"):
        consumptions("kafka", "app")


def test_a_module_that_is_imported_again_declares_the_same(found: Consumption) -> None:
    consumes("orders")(bill)

    assert list(consumptions("kafka", "app")) == ["app.bill"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"topic": "or ders"}, "a topic of 1 to 249 letters"),
        ({"topic": 7}, "a topic of 1 to 249 letters"),
        ({"group": ""}, "a group of 1 to 255 characters"),
        ({"key": "order"}, "a key that can be called with a record"),
        ({"payload": Order(order=1)}, "a payload that can be called"),
        ({"shard": 1}, "a shard that can be called"),
        ({"begin": "first"}, "begin earliest or latest"),
        ({"remembered_for": 14}, "a remembered_for as a timedelta"),
        ({"engine": ""}, "an engine of 1 to 64"),
    ],
)
def test_what_is_wrong_is_refused_where_it_is_declared(given: Any, expected: str) -> None:
    with pytest.raises(DefinitionError, match=expected):
        consumes(**{"topic": "orders", **given})(bill)


def test_below_the_job_it_says_where_it_belongs() -> None:
    with pytest.raises(DefinitionError, match="put @consumes above @job"):
        consumes("orders")(lambda payload, ctx: None)  # type: ignore[arg-type]


def test_what_a_record_reports_may_name_the_job() -> None:
    consumes("orders", key=lambda record: (record.key or b"").decode())(bill)
    made = consumption_of("kafka", "orders", "bill")
    assert made is not None

    request = made.fit(RECORD)

    assert request is not None
    assert request.options["idempotency_key"] == "7"


@pytest.mark.parametrize("key", ["", "x" * 201, None, 7])
def test_a_key_that_is_none_does_not_fit(key: Any) -> None:
    consumes("orders", key=lambda record: key)(bill)
    made = consumption_of("kafka", "orders", "bill")
    assert made is not None

    with pytest.raises(ValueError, match="expected a key of 1 to 200 characters"):
        made.fit(RECORD)


def test_a_shard_is_in_front_of_the_key_and_needed_among_several_ledgers(
    found: Consumption,
) -> None:
    with pytest.raises(DefinitionError, match=r"expected consumes\('orders', shard=...\)"):
        expect_shards({"orders": found})

    consumes("orders", shard=lambda record: "eu")(bill)
    made = consumption_of("kafka", "orders", "bill")
    assert made is not None
    expect_shards({"orders": made})
    options = made.options_of(RECORD)
    assert (options["shard"], options["idempotency_key"]) == ("eu", "eu-orders/3/17@1700000000000")


def test_the_program_may_pass_over_a_record() -> None:
    consumes("orders", payload=lambda record: None)(bill)
    made = consumption_of("kafka", "orders", "bill")

    assert made is not None
    assert made.fit(RECORD) is None


def test_a_tombstone_does_not_fit_by_itself(found: Consumption) -> None:
    with pytest.raises(ValueError, match="got none, which is a tombstone"):
        found.fit(Record("orders", 0, 0))


def test_the_key_of_the_longest_topic_is_one_that_the_ledger_takes() -> None:
    longest = 2**63 - 1
    a, b = (Record("t" * 248 + end, 2**31 - 1, longest, longest) for end in "ab")

    assert len(a.identity) <= MAX_KEY_CHARS
    assert a.identity != b.identity


def test_records_of_a_topic_that_was_made_again_are_others() -> None:
    again = Record("orders", 3, 17, 1_800_000_000_000)

    assert again.place == RECORD.place
    assert again.identity != RECORD.identity


def test_what_is_kept_of_a_record_is_the_record(found: Consumption) -> None:
    kept = UnfitRecord.of(RECORD, found, ValueError("no"))

    assert UnfitRecord.model_validate_json(kept.model_dump_json()).record() == RECORD
    assert (kept.why, kept.omitted) == ("ValueError: no", 0)


def test_a_record_that_is_too_large_is_kept_by_its_place(found: Consumption) -> None:
    large = Record("orders", 3, 17, value=b"x" * (MAX_KEPT_BYTES + 1))

    kept = UnfitRecord.of(large, found, ValueError("no"))

    assert (kept.value, kept.omitted) == (None, MAX_KEPT_BYTES + 1)
    with pytest.raises(NonRetryableError, match=r"orders/3/17, a record of 40001 bytes"):
        kept.record()


def test_why_names_fields_and_says_nothing_of_their_values(found: Consumption) -> None:
    with pytest.raises(ValueError, match="order") as raised:
        found.fit(Record("orders", 0, 0, value=b'{"order": "hunter2"}'))

    kept = UnfitRecord.of(RECORD, found, raised.value)

    assert "order: Input should be a valid integer" in kept.why
    assert "hunter2" not in kept.why


def test_an_unfit_record_is_one_job_too_in_the_queue_of_its_own(found: Consumption) -> None:
    request = unfit(RECORD, found, ValueError("no"))

    assert request.options == {
        "idempotency_key": RECORD.identity,
        "idempotency_for": timedelta(days=14),
        "queue": "default",
    }


def test_a_published_record_has_an_id_and_others_have_none() -> None:
    record = Record("t", 0, 0, headers=(("failsoft-id", b"a"), ("failsoft-id", b"b")))

    assert published_id(record) == "b"
    with pytest.raises(ValueError, match="expected a record with the header failsoft-id"):
        published_id(RECORD)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"\x00\xff", b"\x00\xff"),
        ("text", b"text"),
        (None, None),
        ({"order": 7}, b'{"order":7}'),
        ([1, "é"], b'[1,"\\u00e9"]'),
    ],
)
def test_what_is_produced_is_written_as_it_reads(value: object, expected: bytes | None) -> None:
    with collecting() as collected:
        produce(None, "orders", value, "7", {"kind": "new"}, "eu")

    assert collected == [OutboxRecord("eu", "orders", expected, b"7", (("kind", b"new"),))]


def test_a_model_is_produced_as_json() -> None:
    with collecting() as collected:
        produce(None, "orders", Order(order=7))

    assert json.loads(collected[0].value or b"") == {"order": 7, "note": None}
    assert collected[0].engine == "kafka"


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan")])
def test_what_is_no_json_is_refused(value: object) -> None:
    with collecting(), pytest.raises(StepError, match="a value of bytes, text, a model or JSON"):
        produce(None, "orders", value)
