"""Copies of the context variables in which what is set, and what is changed, stays."""

import decimal
from contextvars import Context, copy_context


def own_copy() -> Context:
    """Return a copy of this thread's or task's context that shares nothing with it."""
    copied = copy_context()
    copied.run(part_with_decimals)
    return copied


def part_with_decimals() -> None:
    """Have a decimal context of its own: a copied context holds the same, which may be changed."""
    decimal.setcontext(decimal.getcontext().copy())
