"""The packages that the demo needs besides Failsoft: the extra `demo`."""

from collections.abc import Iterable
from importlib.util import find_spec

from failsoft.job_engine.errors import ConfigurationError

#: The packages of the extra.
EXTRAS = ("vega_datasets",)
REMEDY = "run: pip install 'failsoft[demo]'"


def require_extras(packages: Iterable[str] = EXTRAS) -> None:
    """Check that the packages are installed, without importing them.

    Raises:
        ConfigurationError: If some are not; the message names them and the command.
    """
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"expected what the demo runs on, got no {' and no '.join(missing)}; {REMEDY}"
        )
