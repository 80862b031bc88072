"""What a program chooses of its traces."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceOptions:
    """See `instrument`, which has them as arguments."""

    links: bool = True
    baggage: bool = False
    record_errors: bool = False
