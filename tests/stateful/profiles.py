"""How long the machines run: a little in every run of the tests, long where the profile says so."""

import os

from hypothesis import HealthCheck, Phase, settings

#: Names the profile: `long`, or anything else for the short one.
VARIABLE = "_FAILSOFT_TEST_PROFILE"

_EACH = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
#: The same machines in every run: what fails here was changed by the commit that is tested.
QUICK = settings(_EACH, stateful_step_count=40, derandomize=True, database=None)
LONG = settings(_EACH, max_examples=300, stateful_step_count=80)
#: Enough to find a rule that is broken; how is not read.
HUNT = settings(QUICK, max_examples=200, phases=(Phase.generate,))


def is_long() -> bool:
    """Return whether the long profile is set."""
    return os.environ.get(VARIABLE) == "long"


def profile(quickly: int) -> settings:
    """Return the profile that is set; the short one runs so many machines."""
    return LONG if is_long() else settings(QUICK, max_examples=quickly)
