"""JSON in and out of the ledger."""

import json
import math
import sys
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import partial, wraps
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, computed_field

from failsoft.job_engine.errors import (
    ResultInvalidError,
)
from failsoft.job_engine.values.codec import (
    MAX_DEPTH,
    MAX_RESULT_BYTES,
    Result,
    encode_freely,
    result_of,
    result_of_type,
)

CANARY = "hunter2-canary"


class Mail(BaseModel):
    to: str
    weight: float = 1.0
    at: datetime | None = None


class Colour(StrEnum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: int


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth - 1):
        value = [value]
    return value


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.text(max_size=20)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(json_values)
def test_what_json_can_carry_comes_back_as_it_was(value: Any) -> None:
    result: Result[Any] = Result(Any)

    assert result.decode(result.encode(value)) == value


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        (int, 7),
        (type(None), None),
        (bytes, b"text"),
        (datetime, datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)),
        (date, date(2026, 1, 2)),
        (timedelta, timedelta(days=2, seconds=3, microseconds=4)),
        (Decimal, Decimal("1.10")),
        (UUID, UUID(int=7)),
        (Colour, Colour.RED),
        (Point, Point(1, 2)),
        (Mail, Mail(to="a", at=datetime(2026, 1, 2, tzinfo=UTC))),
        (list[Point], [Point(1, 2), Point(3, 4)]),
        (dict[str, Mail], {"a": Mail(to="a")}),
        (tuple[int, ...], (1, 2)),
        (set[int], {1, 2}),
        (Point | None, None),
    ],
)
def test_a_result_comes_back_in_its_declared_type(declared: Any, value: Any) -> None:
    result = result_of_type(declared)

    again = result.decode(result.encode(value))

    assert again == value
    assert type(again) is type(value)


@pytest.mark.parametrize(
    ("value", "changed"),
    [
        (Point(1, 2), "Point as it"),
        ({"at": [datetime(2026, 1, 2, tzinfo=UTC)]}, "datetime as an element of a list"),
        ((1, 2), "tuple as it"),
        ([{1}], "set as an element of a list"),
        (Decimal("1.10"), "Decimal as it"),
        ({"c": Colour.RED}, "Colour as a value of a dict"),
        ({3: "three"}, "a dict with int as keys"),
        ({Colour.RED: 1}, "a dict with Colour as keys"),
        (b"text", "bytes as it"),
        (Mail(to="a"), "Mail as it"),
    ],
)
def test_what_json_changes_is_refused_where_no_annotation_says_what_it_is(
    value: Any, changed: str
) -> None:
    with pytest.raises(ResultInvalidError, match=f"got {changed}; annotate what is returned"):
        result_of_type(Any).encode(value)


class Login(BaseModel):
    token: SecretStr


class Withheld(BaseModel):
    n: int = Field(default=0, exclude=True)


class Aliased(BaseModel):
    user_id: int = Field(default=0, alias="userId")


class Apart(BaseModel):
    user_id: int = Field(default=0, validation_alias="in", serialization_alias="out")


class Computed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    n: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> int:
        return 2 * self.n


@dataclass
class Unlike:
    words: dict[str, Any]


@pytest.mark.parametrize(
    ("value", "changed"),
    [
        (Login(token=SecretStr(CANARY)), "another SecretStr as its field 'token'"),
        (Withheld(n=7), "another int as its field 'n'"),
        (Unlike({"a": (1,)}), "list instead of tuple as a value of a dict"),
        (Unlike({"a\ud800": 1}), "another dict as its field 'words'"),
    ],
)
def test_what_json_changes_is_refused_whatever_is_declared(value: Any, changed: str) -> None:
    with pytest.raises(ResultInvalidError, match=changed) as caught:
        result_of_type(type(value)).encode(value)

    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "value", [Aliased(userId=7), Apart(**{"in": 7}), Computed(n=7), Unlike({"a": [1]})]
)
def test_aliases_and_computed_fields_are_no_obstacle(value: Any) -> None:
    result = result_of_type(type(value))

    assert result.decode(result.encode(value)) == value


def test_a_recorded_result_may_have_its_fields_under_their_aliases() -> None:
    assert result_of_type(Aliased).decode('{"userId": 7}') == Aliased(userId=7)


def test_what_is_declared_as_any_sequence_may_be_a_tuple() -> None:
    result = result_of_type(Sequence[int])

    assert result.decode(result.encode((1, 2))) == [1, 2]


def test_what_no_annotation_describes_is_written_part_by_part() -> None:
    value = {"mails": [Mail(to="a"), Mail(to="b")], "price": Decimal("1.10"), "pair": (1, None)}

    written = json.loads(encode_freely(value))

    assert TypeAdapter(list[Mail]).validate_python(written["mails"]) == value["mails"]
    assert (written["price"], written["pair"]) == ("1.10", [1, None])
    for bad in ([SecretStr(CANARY)], {"n": math.nan}, nested(40), {1: 2}, object()):
        with pytest.raises(ResultInvalidError):
            encode_freely(bad)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("declared", [float, float | None, Any, list[float], dict[str, Any]])
def test_a_number_that_json_does_not_know_never_becomes_nothing(
    declared: Any, number: float
) -> None:
    value = {list[float]: [number], dict[str, Any]: {"n": number}}.get(declared, number)

    with pytest.raises(ResultInvalidError):
        result_of_type(declared).encode(value)


@pytest.mark.parametrize(
    "value", [object(), lambda: None, {1: object()}, "\ud800", {"s": "\udfff"}]
)
def test_a_value_that_json_cannot_carry_is_refused(value: Any) -> None:
    with pytest.raises(ResultInvalidError):
        result_of_type(Any).encode(value)


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)

    with pytest.raises(ResultInvalidError):
        result_of_type(Any).encode(value)


def test_a_value_of_another_type_than_declared_is_refused() -> None:
    with pytest.raises(ResultInvalidError, match="got str"):
        result_of_type(int).encode("seven")


def test_a_result_may_nest_so_deep_and_no_deeper() -> None:
    result = result_of_type(Any)
    # A leaf is a level of its own.
    assert result.decode(result.encode(nested(MAX_DEPTH))) == nested(MAX_DEPTH)

    for depth in (MAX_DEPTH + 1, 200, 100_000):
        with pytest.raises(ResultInvalidError):
            result.encode(nested(depth))


def test_a_result_may_be_so_large_and_no_larger() -> None:
    result = result_of_type(str)
    largest = "x" * (MAX_RESULT_BYTES - 2)

    assert result.decode(result.encode(largest)) == largest
    with pytest.raises(ResultInvalidError):
        result.encode(largest + "x")
    with pytest.raises(ResultInvalidError):
        result.encode("é" * (MAX_RESULT_BYTES // 2))


def test_a_recorded_result_that_no_longer_fits_is_refused_without_its_value() -> None:
    with pytest.raises(ResultInvalidError, match="return annotation") as caught:
        result_of_type(int).decode(json.dumps(CANARY))

    assert CANARY not in str(caught.value)


def test_an_error_names_the_type_of_a_result_and_never_its_value() -> None:
    with pytest.raises(ResultInvalidError, match="got dict") as caught:
        result_of_type(Any).encode({"password": CANARY, "x": object()})

    assert CANARY not in str(caught.value)


def test_a_return_annotation_that_cannot_be_stored_is_refused() -> None:
    class Opaque:
        pass

    with pytest.raises(ResultInvalidError, match="return annotation"):
        result_of_type(Opaque)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="pydantic takes these from 3.12 on")
def test_a_typed_dict_that_pydantic_refuses_is_named_with_what_to_use() -> None:
    class Row(typing.TypedDict):
        number: int

    with pytest.raises(ResultInvalidError, match=r"return annotation.*typing_extensions.TypedDict"):
        result_of_type(Row)


def test_the_return_annotation_is_found_wherever_it_stands() -> None:
    class Callable:
        def __call__(self, x: int) -> Point:
            return Point(x, x)

        def method(self) -> Point:
            return Point(1, 1)

        @classmethod
        def of_class(cls) -> Point:
            return Point(2, 2)

    for function in (Callable(), Callable().method, Callable.of_class, partial(Callable(), 1)):
        assert result_of(function).decode('{"x": 1, "y": 2}') == Point(1, 2)


@pytest.mark.parametrize("function", [lambda: 1, len, partial(print), {}.get])
def test_a_function_without_annotation_returns_anything(function: Any) -> None:
    assert result_of(function).decode('{"a": [1]}') == {"a": [1]}


@pytest.mark.parametrize(
    ("function", "returned"),
    [(Point, Point(1, 2)), (Mail, Mail(to="a")), (Decimal, Decimal("1.10")), (partial(int), 7)],
)
def test_a_class_returns_its_instances(function: Any, returned: Any) -> None:
    result = result_of(function)

    assert result.decode(result.encode(returned)) == returned


def test_an_annotation_that_exists_for_type_checkers_only_says_nothing() -> None:
    def function() -> "OnlyForCheckers":  # type: ignore[name-defined]  # noqa: F821
        return 1

    def no_type() -> "this is no type":  # type: ignore[valid-type]  # noqa: F722
        return 1

    for each in (function, no_type):
        assert result_of(each).decode("[1]") == [1]


def test_a_parameter_that_exists_for_type_checkers_only_spoils_no_return_annotation() -> None:
    def price(session: "OnlyForCheckers") -> Decimal:  # type: ignore[name-defined]  # noqa: F821
        return Decimal("1.10")

    @wraps(price)
    def wrapped(*args: Any) -> Any:
        return price(*args)

    for each in (price, wrapped, partial(price, None)):
        assert result_of(each).decode('"1.10"') == Decimal("1.10")
