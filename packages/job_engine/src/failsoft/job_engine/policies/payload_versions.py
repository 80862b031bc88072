"""Payloads of older versions of a definition, brought up to date."""

import json
from collections.abc import Callable
from typing import Any

from failsoft.job_engine.errors import DefinitionError
from failsoft.job_engine.validation import Expect

#: Makes of a payload of one version, as JSON has it, one of the next.
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]


class Upgrades:
    """The upcasters of one definition, each from a version to the next."""

    def __init__(self) -> None:
        self._upcasters: dict[int, Upcaster] = {}

    def add(self, job: str, version: int, from_version: int, upcaster: Upcaster) -> None:
        """Keep an upcaster.

        Raises:
            DefinitionError: If it leads nowhere, or if there is one already.
        """
        expect = Expect(DefinitionError, f"job {job!r}: ")
        expect.whole("from_version", from_version, least=1)
        expect.callable("an upgrade that can be called", upcaster)
        if from_version >= version:
            raise DefinitionError(
                f"job {job!r}: expected an upgrade from a version below {version}, got one from "
                f"version {from_version}; raise the definition's `version` first"
            )
        if from_version in self._upcasters:
            raise DefinitionError(
                f"job {job!r}: expected one upgrade from version {from_version}, got two"
            )
        self._upcasters[from_version] = upcaster

    def missing(self, version: int) -> list[int]:
        """Return the versions that nothing leads on from."""
        return [each for each in range(1, version) if each not in self._upcasters]

    def apply(self, job: str, payload: str, from_version: int, version: int) -> str:
        """Return the payload as the newest version has it.

        Raises:
            DefinitionError: If an upcaster is missing, or returns no JSON object.
        """
        value: Any = json.loads(payload)
        for each in range(from_version, version):
            upcaster = self._upcasters.get(each)
            if upcaster is None:
                raise DefinitionError(
                    f"job {job!r}: expected an upgrade from version {each}, got none"
                )
            value = upcaster(value)
            if not isinstance(value, dict):
                raise DefinitionError(
                    f"job {job!r}: expected the upgrade from version {each} to return a dict, "
                    f"got {type(value).__name__}"
                )
        return json.dumps(value)
