"""What the ledger keeps of an exception: enough to find the fault, bounded, and no secret."""

import pytest

from failsoft.job_engine.records.error_record import (
    MAX_MESSAGE_CHARS,
    MAX_TRACEBACK_CHARS,
    ErrorRecord,
)

URL = "amqp://shop:hunter2@rabbit.example/orders"


def raised(error: BaseException) -> ErrorRecord:
    try:
        raise error  # noqa: TRY301 - so that it has a traceback
    except BaseException as caught:  # noqa: BLE001 - any error is described
        return ErrorRecord.of(caught)


@pytest.mark.parametrize(
    "error", [ValueError(f"no answer from {URL}"), ExceptionGroup("all", [OSError(URL)])]
)
def test_passwords_are_masked_before_an_error_is_kept(error: Exception) -> None:
    record = raised(error)

    assert "hunter2" not in f"{record.message}{record.traceback}"
    assert "amqp://shop:***@rabbit.example/orders" in record.traceback


@pytest.mark.parametrize("before", range(0, 60, 7))
def test_no_end_of_a_password_is_left_at_a_cut(before: int) -> None:
    many = (
        "x" * (MAX_MESSAGE_CHARS - before) + " " + URL + " " + "y" * (MAX_TRACEBACK_CHARS - before)
    )

    record = raised(ValueError(many))

    assert not any(part in f"{record.message}{record.traceback}" for part in ("hunter2", "nter2@"))


def test_an_error_is_bounded_and_keeps_where_it_was_raised() -> None:
    record = raised(ValueError("x" * 10_000_000))

    assert len(record.message) == MAX_MESSAGE_CHARS
    assert len(record.traceback) == MAX_TRACEBACK_CHARS
