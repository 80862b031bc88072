"""A worker that claims messages and goes on for ever: `MODULE:PLUGIN SETTINGS PARENT`.

SETTINGS are JSON. It ends with its parent at the latest.
"""

import json
import os
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from operator import attrgetter

from failsoft.testing.engine_kit.bench import post_of, site_of

#: How often it looks whether its parent is there, in seconds.
LOOK_SECONDS = 1.0


def main(place: str, settings: str, parent: str) -> None:
    """Serve the bench's queue."""

    def process(wire: object, claimed: Callable[[], object] = lambda: None) -> None:
        claimed()
        sys.stdout.write("claimed\n")
        sys.stdout.flush()
        threading.Event().wait()

    module, _, name = place.partition(":")
    plugin = attrgetter(name)(import_module(module))()
    post = post_of(process, lambda error: None)
    worker = plugin.build_worker(site_of(plugin, json.loads(settings)), post)
    threading.Thread(target=worker.run, args=(threading.Event(),), daemon=True).start()
    while os.getppid() == int(parent):
        threading.Event().wait(LOOK_SECONDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
