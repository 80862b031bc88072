"""Explore every configuration, the long ones included: `python -m tests.model`."""

import json
import sys

from tests.model.configurations import CONFIGURATIONS, LONG
from tests.model.model import Model
from tests.model.mutations import MUTATIONS
from tests.model.search import explore
from tests.model.summary import keep, summarise
from tests.model.traces import narrate, trace_to


def main() -> int:
    """Print a line for each search; return 1 if a promise is broken or a mutation survives."""
    failed = False
    for config in (*CONFIGURATIONS, *LONG):
        search = explore(Model(config))
        keep(search)
        sys.stdout.write(json.dumps(summarise(search)) + "\n")
        for found in search.broken.values():
            failed = True
            sys.stdout.write(f"{found.invariant}\n{narrate(trace_to(search, found))}\n")
    for mutation in MUTATIONS:
        search = explore(Model(mutation.config, mutation.protocol()))
        keep(search, mutation)
        sys.stdout.write(json.dumps(summarise(search, mutation)) + "\n")
        failed |= not mutation.breaks <= search.broken.keys()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
