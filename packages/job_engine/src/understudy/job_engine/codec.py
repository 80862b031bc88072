"""Strict JSON in and out of the ledger: payloads, step results, job results.

Whatever is stored is read back at once, so that what a job gets on its first run is what it
gets when it resumes on the other engine.
"""

import json
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Annotated, Any, Generic, NoReturn, TypeVar, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    PlainSerializer,
    PydanticSchemaGenerationError,
    PydanticUserError,
    SecretStr,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticSerializationError

from understudy.job_engine.errors import (
    PayloadInvalidError,
    PayloadTooLargeError,
    ResultInvalidError,
)

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")

#: The largest payload `dispatch_job` accepts, in bytes of JSON.
MAX_PAYLOAD_BYTES = 64 * 1024
#: The largest result of a step or a job, in bytes of JSON.
MAX_RESULT_BYTES = 256 * 1024
#: How deep JSON may nest.
MAX_DEPTH = 32

#: A secret that hides in logs and `repr`, and still survives the way through the ledger.
SecretText = Annotated[
    SecretStr, PlainSerializer(lambda secret: secret.get_secret_value(), when_used="json")
]


def encode_payload(payload: BaseModel, expected: type[BaseModel], limit: int) -> str:
    """Return the payload as JSON that decodes to an equal payload.

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
        text = payload.model_dump_json()
    except PydanticSerializationError as error:
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
    if decode_payload(text, type(payload)) != payload:
        raise PayloadInvalidError(_changed_fields(payload, text))
    return text


def decode_payload(text: str, expected: type[P]) -> P:
    """Return the payload that the JSON holds.

    Raises:
        PayloadInvalidError: If it does not fit the model. The message names the fields, and never
            a value: a payload may hold secrets.
    """
    try:
        return expected.model_validate_json(text)
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
        """Build the adapter of the declared type; `Any` where nothing was declared."""
        self._adapter: TypeAdapter[R] = _adapter(declared)

    def encode(self, value: R) -> str:
        """Return the value as strict JSON.

        Raises:
            ResultInvalidError: If JSON cannot carry it, it nests too deep or is too large.
        """
        try:
            text = self._adapter.dump_json(value, warnings="error").decode()
        except (PydanticSerializationError, ValueError) as error:
            raise ResultInvalidError(
                f"expected a result that fits JSON and its return annotation, got "
                f"{type(value).__name__}: {type(error).__name__}"
            ) from error
        _check_strict(text)
        if _has_odd_keys(value) and self.decode(text) != value:
            raise ResultInvalidError(
                "expected a result whose dicts have text as keys, got others, which JSON would "
                "turn into text; annotate what is returned, as in `-> dict[int, str]`"
            )
        return text

    def decode(self, text: str) -> R:
        """Return the value that the JSON holds.

        Raises:
            ResultInvalidError: If it no longer fits the return annotation.
        """
        try:
            return self._adapter.validate_json(text)
        except ValidationError as error:
            raise ResultInvalidError(
                f"the recorded result does not fit the return annotation: {describe(error)}"
            ) from None


def _adapter(declared: Any) -> TypeAdapter[Any]:
    try:
        # Not-a-number is written as such, and refused below; by default it becomes null.
        return TypeAdapter(declared, config=ConfigDict(ser_json_inf_nan="constants"))
    except PydanticUserError:
        # A model, whose own configuration decides.
        return TypeAdapter(declared)


def result_of(function: Callable[..., Any]) -> Result[Any]:
    """Return how the result of this function is stored, by its return annotation."""
    while isinstance(function, partial):
        function = function.func
    target = function if hasattr(function, "__code__") else getattr(function, "__call__", function)  # noqa: B004 - the method itself is wanted, for its annotations
    return result_of_type(_return_annotation(getattr(target, "__func__", target)))


@lru_cache(maxsize=1024)
def _return_annotation(function: Callable[..., Any]) -> Any:
    try:
        declared = get_type_hints(function, include_extras=True).get("return", Any)
    except (NameError, TypeError):
        # An annotation that only a type checker can see says nothing at run time.
        return Any
    return type(None) if declared is None else declared


def result_of_type(declared: Any) -> Result[Any]:
    """Return how a result of the declared type is stored."""
    try:
        return _cached_result(declared)
    except TypeError:
        return _build_result(declared)


def _build_result(declared: Any) -> Result[Any]:
    try:
        return Result(declared)
    except PydanticSchemaGenerationError as error:
        raise ResultInvalidError(
            f"expected a return annotation that pydantic understands, got {declared!r}"
        ) from error


_cached_result = lru_cache(maxsize=1024)(_build_result)


def _check_strict(text: str) -> None:
    if (size := len(text.encode())) > MAX_RESULT_BYTES:
        raise ResultInvalidError(
            f"expected a result of at most {MAX_RESULT_BYTES} bytes, got {size}; "
            "store it elsewhere and return a reference to it"
        )
    if _is_too_deep(text):
        raise ResultInvalidError(
            f"expected a result that nests at most {MAX_DEPTH} deep, got a deeper one; flatten it"
        )
    if "NaN" in text or "Infinity" in text:
        json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(constant: str) -> NoReturn:
    raise ResultInvalidError(f"expected finite numbers in a result, got {constant}; return None")


def _is_too_deep(text: str) -> bool:
    # What opens so few brackets cannot nest deeper, its leaves included.
    few = text.count("{") + text.count("[") < MAX_DEPTH
    return not few and _depth(json.loads(text)) > MAX_DEPTH


def _has_odd_keys(value: object) -> bool:
    inner: Iterable[object] = ()
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            return True
        inner = value.values()
    elif isinstance(value, list | tuple):
        inner = value
    return any(map(_has_odd_keys, inner))


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


def _changed_fields(payload: BaseModel, text: str) -> str:
    again = decode_payload(text, type(payload))
    changed = [
        name
        for name in type(payload).model_fields
        if getattr(payload, name) != getattr(again, name)
    ]
    return (
        f"expected a payload that is the same after JSON, got other values in "
        f"{', '.join(changed) or type(payload).__name__}; use SecretText for secrets and finite "
        "numbers for floats"
    )
