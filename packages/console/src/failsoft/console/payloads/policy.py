"""Which values of a job are shown, and which are masked."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, get_args, get_origin

from pydantic import BaseModel, EmailStr, NameEmail, SecretBytes, SecretStr

from failsoft.job_engine.values.redaction import redacted

#: Stands in the place of what is masked.
DOTS = "•••"

#: Names of fields whose values are masked, whatever model they are of.
SECRET_NAME = re.compile(
    r"(?i)pass|secret|token|auth(?!ors?(?:_|$))|cookie|session|key$|card|iban|ssn|credential"
)
#: Stands for every key of a mapping whose values have fields that are masked.
ANY_KEY = "*"
#: Types of fields that are masked, whatever they are called.
_SECRET_TYPES: tuple[Any, ...] = (SecretStr, SecretBytes, EmailStr, NameEmail)


class Number(str):
    """A number of a JSON text, as it was written."""

    __slots__ = ()


#: Of a program that mounts the console: `redact(name, kind, value)` returns what is shown of a
#: value of the kind `payload`, `result`, `step`, `event` or `note`, of the job called `name`.
Redact = Callable[[str, str, Any], Any]


class Mode(StrEnum):
    """What is shown at all."""

    REDACTED = "redacted"
    HIDDEN = "hidden"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class PayloadPolicy:
    """What is shown of values.

    Attributes:
        mode: `redacted` masks what looks like a secret, `hidden` shows nothing, `full` everything
            but what the types say is secret.
        redact: Has the last word.
    """

    mode: Mode = Mode.REDACTED
    redact: Redact | None = None

    def shown(
        self, name: str, kind: str, text: str | None, model: type[BaseModel] | None = None
    ) -> Any:
        """Return what is shown of a JSON text of the ledger, decoded; numbers are `Number`.

        Args:
            name: The name of the job's definition.
            kind: `payload`, `result`, `step`, `event` or `note`.
            text: The text; one that is no JSON is shown as a text, masked alike.
            model: The model that it is of, where that is known here.
        """
        if self.mode is Mode.HIDDEN:
            return DOTS
        try:
            value = json.loads(
                text or "null", parse_int=Number, parse_float=Number, parse_constant=Number
            )
        except (ValueError, RecursionError):
            value = text
        value = self._masked(value, secret_fields(model) if model is not None else {})
        return value if self.redact is None else self.redact(name, kind, value)

    def _masked(self, value: Any, fields: Mapping[str, Any]) -> Any:
        if isinstance(value, dict):
            return {key: self._field(key, item, fields) for key, item in value.items()}
        if isinstance(value, list):
            return [self._masked(item, fields) for item in value]
        if isinstance(value, str) and not isinstance(value, Number):
            return value if self.mode is Mode.FULL else redacted(value)
        return value

    def _field(self, key: str, item: Any, fields: Mapping[str, Any]) -> Any:
        below = fields.get(key) or fields.get(ANY_KEY, {})
        is_named_so = self.mode is Mode.REDACTED and SECRET_NAME.search(key) is not None
        if below is True or is_named_so:
            return None if item is None else DOTS
        return self._masked(item, below)


def secret_fields(model: type[BaseModel]) -> Mapping[str, Any]:
    """Return the fields of a model that are masked by their type, those of models in it below them.

    A field is True where it is secret, or a mapping of the same kind.
    """
    return _secret_fields(model, frozenset())


def _secret_fields(model: type[BaseModel], above: frozenset[type]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if model in above:
        return found
    for name, field in model.model_fields.items():
        for key in {name, field.alias or name, field.serialization_alias or name}:
            if below := _secrets_of(field.annotation, above | {model}):
                found[key] = below
    return found


def _secrets_of(annotation: Any, above: frozenset[type]) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, _SECRET_TYPES):
        return True
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _secret_fields(annotation, above)
    merged: dict[str, Any] = {}
    for part in get_args(annotation):
        below = _secrets_of(part, above)
        if below is True:
            return True
        merged |= below or {}
    is_mapping = isinstance(origin := get_origin(annotation), type) and issubclass(origin, Mapping)
    return {ANY_KEY: merged} if merged and is_mapping else merged
