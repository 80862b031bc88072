"""The templates of the screens."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from failsoft.console.views.filters import FILTERS


@cache
def templates() -> Environment:
    """Return what all consoles of a process share, so that each template is compiled once."""
    found = Environment(
        loader=PackageLoader("failsoft.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(FILTERS)
    return found
