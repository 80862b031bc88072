"""A request that is answered with a status and a reason."""

from collections.abc import Mapping

#: Where the entry of each code stands, in the documentation.
_ENTRIES = "docs/reference/errors.md"


class RefusedError(Exception):
    """A request that is answered with a status and a reason.

    Attributes:
        status: The status of the answer.
        headers: Its headers beside those of every answer.
        code: That of the error of Failsoft's that is the reason, as `FS-010`; None for another.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        headers: Mapping[str, str] | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.status: int = status
        self.headers: dict[str, str] = dict(headers or {})
        self.code: str | None = code

    @property
    def entry(self) -> str | None:
        """Where the documentation has the entry of its code; None where it has none."""
        return None if self.code is None else f"{_ENTRIES}#{self.code.lower()}"
