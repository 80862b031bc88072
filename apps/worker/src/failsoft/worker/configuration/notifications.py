"""Notifications in the settings: channels, and the rules that say who is told of what.

`FAILSOFT_NOTIFY` is a JSON object of the same shape as `failsoft.toml` in the folder that a program
is started in, which is read where the variable is not set.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.policies.notifications import NotifyRule
from failsoft.job_engine.validation import did_you_mean

if TYPE_CHECKING:
    from failsoft.job_engine.jobs.notifications.channels import Channel
else:
    # The settings have it as a field, whose annotations are evaluated.
    Channel = Any

#: The file, and the only tables that it may have.
FILE = Path("failsoft.toml")
_TABLES = ("channels", "notify")
_OF_RULES = tuple(each.name for each in fields(NotifyRule))


@dataclass(frozen=True, slots=True)
class Notifications:
    """Who is told of what, and where.

    Attributes:
        rules: The rules; each that chooses a notice tells it.
        channels: The channels, by their names.
    """

    rules: tuple[NotifyRule, ...] = ()
    channels: "Mapping[str, Channel]" = field(default_factory=dict[str, Any], repr=False)

    def __str__(self) -> str:
        """Return what may be shown of them."""
        kinds = ",".join(f"{name}={each.kind}" for name, each in self.channels.items())
        return f"{kinds} ({len(self.rules)} rules)" if kinds else ""


def read_notifications(value: Any, duration: Any) -> Notifications:
    """Read the JSON of `FAILSOFT_NOTIFY`, or `failsoft.toml` where that is empty.

    Args:
        value: The text of the variable, or what is already read.
        duration: Reads `10m`.

    Raises:
        ValueError: Something in it is wrong; the message has no address and no secret.
    """
    if isinstance(value, Notifications):
        return value
    if not isinstance(value, str):
        raise ValueError(f"expected a JSON object, got {type(value).__name__}")  # noqa: TRY004 - pydantic's
    try:
        return _notifications(_tables(value), duration)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None


def _tables(text: str) -> Mapping[str, Any]:
    if text.strip():
        try:
            found = json.loads(text)
        except ValueError:
            raise ValueError("expected a JSON object, got something else") from None
    else:
        found = _of_file()
    if not isinstance(found, dict):
        raise ValueError("expected a JSON object, got something else")  # noqa: TRY004 - pydantic's
    _expect_known("a table", found, _TABLES)
    return cast("dict[str, Any]", found)


def _of_file() -> object:
    try:
        return tomllib.loads(FILE.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ValueError(f"expected {FILE} to be TOML that can be read, got {reason}") from None


def _notifications(tables: Mapping[str, Any], duration: Any) -> Notifications:
    given = tables.get("channels", {})
    if not isinstance(given, dict):
        raise ValueError("expected `channels` by their names, got something else")  # noqa: TRY004
    named = cast("dict[str, Any]", given)
    channels = {name: _channel(name, each, duration) for name, each in named.items()}
    rules = tables.get("notify", [])
    if not isinstance(rules, list):
        raise ValueError("expected `notify` as a list of rules, got something else")  # noqa: TRY004
    read = tuple(_rule(each, channels, duration) for each in rules)
    return Notifications(read, channels)


def _channel(name: str, given: Any, duration: Any) -> "Channel":
    # Imported here, with the jobs that send: few programs have channels, and all read settings.
    from failsoft.job_engine.jobs.notifications.channels import (  # noqa: PLC0415 - see above
        CHANNELS,
    )

    if not isinstance(given, dict):
        raise ValueError(f"expected channel {name} as a table, got something else")  # noqa: TRY004
    values = dict(cast("dict[str, Any]", given))
    kind = values.get("kind")
    if not isinstance(kind, str) or kind not in CHANNELS:
        hint = did_you_mean(kind, CHANNELS)
        known = ", ".join(CHANNELS)
        raise ValueError(f"expected channel {name} of a kind ({known}), got {kind!r}{hint}")
    if "timeout" in values:
        values["timeout"] = duration(values["timeout"])
    try:
        return CHANNELS[kind].model_validate(values)
    except ValidationError as error:
        # Without what was given, which may be a secret.
        wrong = error.errors(include_url=False, include_input=False, include_context=False)
        said = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in wrong)
        raise ValueError(f"channel {name} of the kind {kind}: {said}") from None


def _rule(given: Any, channels: "Mapping[str, Channel]", duration: Any) -> NotifyRule:
    if not isinstance(given, dict):
        raise ValueError("expected each rule of `notify` as a table, got something else")  # noqa: TRY004
    values = dict(cast("dict[str, Any]", given))
    _expect_known("a field of a rule", values, _OF_RULES)
    missing = [name for name in ("on", "to") if name not in values]
    if missing:
        raise ValueError(f"expected `on` and `to` in each rule, got none for {missing[0]}")
    on = values["on"]
    values["on"] = (on,) if isinstance(on, str) else tuple(on) if isinstance(on, list) else ()
    if not isinstance(values["to"], str) or values["to"] not in channels:
        known = ", ".join(channels) or "none there"
        hint = did_you_mean(values["to"], channels)
        raise ValueError(
            f"expected the name of a channel in `to` ({known}), got {values['to']!r}{hint}"
        )
    if "every" in values:
        values["every"] = duration(values["every"])
    return NotifyRule(**values)


def _expect_known(what: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise ValueError(
                f"expected {what} ({', '.join(known)}), got {name!r}{did_you_mean(name, known)}"
            )
