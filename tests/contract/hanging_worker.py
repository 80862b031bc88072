"""A worker that claims messages and goes on for ever: `KIND SETTINGS`, as JSON."""

import json
import sys
import threading
from collections.abc import Callable

from failsoft.dispatcher.plugins.discovery import plugin
from tests.contract.engine_setups import post_of, site_of


def main(kind: str, settings: str) -> None:
    def process(wire: object, claimed: Callable[[], object] = lambda: None) -> None:
        claimed()
        print("claimed", flush=True)  # noqa: T201 - what the test waits for
        threading.Event().wait()

    found = plugin(kind)
    worker = found.build_worker(site_of(found, json.loads(settings)), post_of(process, print))
    worker.run(threading.Event())


if __name__ == "__main__":
    main(*sys.argv[1:])
