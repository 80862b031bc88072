"""Strict JSON in and out of the ledger: payloads, step results, job results.

Whatever is stored is read back at once, so that what a job gets on its first run is what it
gets when it resumes on the other engine.
"""

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, Generic, NoReturn, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    PlainSerializer,
    PydanticUserError,
    SecretStr,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticSerializationError

from failsoft.job_engine.errors import (
    PayloadInvalidError,
    PayloadTooLargeError,
    ResultInvalidError,
)
from failsoft.job_engine.values.annotations import returned_by
from failsoft.job_engine.values.canonical import sort_sets
from failsoft.job_engine.values.round_trip import change, changed_fields, is_same, plain_change

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")

#: The largest payload `dispatch_job` accepts, in bytes of JSON.
MAX_PAYLOAD_BYTES = 64 * 1024
#: The largest result of a step or a job, in bytes of JSON.
MAX_RESULT_BYTES = 256 * 1024
#: How deep JSON may nest.
MAX_DEPTH = 32

_TOO_DEEP = f"expected a result that nests at most {MAX_DEPTH} deep, got a deeper one; flatten it"

#: A secret that hides in logs and `repr`, and still survives the way through the ledger.
SecretText = Annotated[
    SecretStr, PlainSerializer(lambda secret: secret.get_secret_value(), when_used="json")
]


def encode_payload(payload: BaseModel, expected: type[BaseModel], limit: int) -> str:
    """Return the payload as JSON that decodes to an equal payload.

    Fields stand under their own names, whatever their aliases, and sets are sorted: equal
    payloads have the same text but for the order of what a dict was filled with.

    Raises:
        PayloadInvalidError: If it is no instance of the job's payload model, or changes on its
            way through JSON.
        PayloadTooLargeError: If the JSON has more than `limit` bytes.
    """
    if not isinstance(payload, expected):
        raise PayloadInvalidError(
            f"expected a payload of type {expected.__name__}, got {type(payload).__name__}"
        )
    try:
        text = payload.model_dump_json(by_alias=False, round_trip=True)
    except (PydanticSerializationError, ValueError) as error:
        raise PayloadInvalidError(f"the payload cannot be written as JSON: {error}") from error
    if len(text.encode()) > limit:
        raise PayloadTooLargeError(
            f"expected a payload of at most {limit} bytes, got {len(text.encode())}; "
            "store it elsewhere and dispatch a reference to it"
        )
    if _is_too_deep(text):
        raise PayloadInvalidError(
            f"expected a payload that nests at most {MAX_DEPTH} deep, got a deeper one; flatten it"
        )
    text = _with_sorted_sets(payload, text)
    again = decode_payload(text, type(payload))
    if not is_same(payload, again):
        raise PayloadInvalidError(
            "expected a payload that is the same after JSON, got other values in "
            f"{', '.join(changed_fields(payload, again)) or type(payload).__name__}; use "
            "SecretText for secrets, finite numbers for floats, and no excluded fields"
        )
    return text


def _with_sorted_sets(payload: BaseModel, text: str) -> str:
    if "[" not in text:
        return text
    data = json.loads(text)
    if not sort_sets(payload, data):
        return text
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def decode_payload(text: str, expected: type[P]) -> P:
    """Return the payload that the JSON holds, with its fields under their names or aliases.

    Raises:
        PayloadInvalidError: If it does not fit the model. The message names the fields, and never
            a value: a payload may hold secrets.
    """
    try:
        return expected.model_validate_json(text, by_alias=True, by_name=True)
    except ValidationError as error:
        raise PayloadInvalidError(
            f"expected a payload that fits {expected.__name__}, got: {describe(error)}"
        ) from None


def describe(error: ValidationError) -> str:
    """Say which fields are wrong and why, without any value."""
    return "; ".join(
        f"{'.'.join(map(str, line['loc'])) or 'payload'}: {line['msg']}"
        for line in error.errors(include_input=False, include_url=False, include_context=False)
    )


class Result(Generic[R]):
    """How one declared type of result goes to JSON and back."""

    def __init__(self, declared: Any) -> None:
        self._declared = declared
        self._adapter: TypeAdapter[R] = _adapter(declared)

    def encode(self, value: R) -> str:
        """Return the value as strict JSON that decodes to an equal value.

        Raises:
            ResultInvalidError: If JSON cannot carry it or changes it, it nests too deep or is too
                large. The message names places and types, and never a value.
        """
        try:
            dumped = self._adapter.dump_json(
                value, by_alias=False, round_trip=True, warnings="error"
            )
            text = dumped.decode()
        except Exception as error:
            # Also what a serializer of the type's own raises.
            raise ResultInvalidError(
                f"expected a result that fits JSON and its return annotation, got "
                f"{type(value).__name__}: {type(error).__name__}"
            ) from error
        _check_strict(text)
        self._check_same(value, text)
        return text

    def _check_same(self, value: R, text: str) -> None:
        changed = plain_change(value) if self._declared is Any else ""
        if not changed:
            again: Any = self._decoded_at_once(value, text)
            if isinstance(value, tuple) and isinstance(again, list):
                # Declared as any sequence: a list is one, too.
                again = tuple(again)
            changed = "" if is_same(value, again) else change(value, again)
        if changed:
            raise ResultInvalidError(
                f"expected a result that is the same after JSON, got {changed}; annotate what is "
                "returned, as in `-> Decimal` or `-> dict[int, str]`, and use SecretText for "
                "secrets and no excluded fields"
            )

    def _decoded_at_once(self, value: R, text: str) -> R:
        try:
            return self.decode(text)
        except ResultInvalidError:
            raise
        except Exception as error:
            raise ResultInvalidError(
                "expected a result that can be read again from its JSON, got "
                f"{type(value).__name__}: {type(error).__name__}"
            ) from error

    def decode(self, text: str) -> R:
        """Return the value that the JSON holds.

        Raises:
            ResultInvalidError: If it no longer fits the return annotation.
        """
        try:
            return self._adapter.validate_json(text, by_alias=True, by_name=True)
        except ValidationError as error:
            raise ResultInvalidError(
                f"the recorded result does not fit the return annotation: {describe(error)}"
            ) from None


def encode_freely(value: object) -> str:
    """Return a value that no annotation describes as strict JSON, each part by its own type.

    The reading code says what it is: a list of models may be read as one again.

    Raises:
        ResultInvalidError: If JSON cannot carry a part of it or changes one, it nests too deep or
            is too large.
    """
    return result_of_type(Any).encode(_parts(value))


def _parts(value: object, depth: int = 0) -> object:
    if depth > MAX_DEPTH:
        raise ResultInvalidError(_TOO_DEEP)
    if isinstance(value, dict):
        return {key: _parts(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_parts(inner, depth + 1) for inner in value]
    if value is None or type(value) in (str, int, float, bool):
        return value
    return json.loads(result_of_type(type(value)).encode(value))


def _adapter(declared: Any) -> TypeAdapter[Any]:
    try:
        # Not-a-number is written as such, and refused below; by default it becomes null.
        return TypeAdapter(declared, config=ConfigDict(ser_json_inf_nan="constants"))
    except PydanticUserError:
        # A model, whose own configuration decides.
        return TypeAdapter(declared)


def result_of(function: Callable[..., Any]) -> Result[Any]:
    """Return how the result of this function is stored, by what it declares to return.

    Raises:
        ResultInvalidError: If pydantic does not understand that.
    """
    return result_of_type(returned_by(function))


def result_of_type(declared: Any) -> Result[Any]:
    """Return how a result of the declared type is stored."""
    try:
        return _cached_result(declared)
    except TypeError:
        return _build_result(declared)


def _build_result(declared: Any) -> Result[Any]:
    try:
        return Result(declared)
    except PydanticUserError as error:
        raise ResultInvalidError(
            f"expected a return annotation that pydantic understands, got {declared!r}: "
            f"{error.message.partition(chr(10))[0]}"
        ) from error


_cached_result = lru_cache(maxsize=1024)(_build_result)


def _check_strict(text: str) -> None:
    if (size := len(text.encode())) > MAX_RESULT_BYTES:
        raise ResultInvalidError(
            f"expected a result of at most {MAX_RESULT_BYTES} bytes, got {size}; "
            "store it elsewhere and return a reference to it"
        )
    if _is_too_deep(text):
        raise ResultInvalidError(_TOO_DEEP)
    if "NaN" in text or "Infinity" in text:
        json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(constant: str) -> NoReturn:
    raise ResultInvalidError(f"expected finite numbers in a result, got {constant}; return None")


def _is_too_deep(text: str) -> bool:
    # What opens so few brackets cannot nest deeper, its leaves included.
    few = text.count("{") + text.count("[") < MAX_DEPTH
    return not few and _depth(json.loads(text)) > MAX_DEPTH


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level and depth <= MAX_DEPTH:
        depth += 1
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
    return depth


def is_model(kind: object) -> bool:
    """Return whether it is a class of pydantic models."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)
