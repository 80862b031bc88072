"""`python -m failsoft.testing.inngest_server`."""

import argparse
from pathlib import Path

import uvicorn

from failsoft.testing.inngest_server.apps import Apps
from failsoft.testing.inngest_server.routes import Keys, Server
from failsoft.testing.inngest_server.runs import Runs


def main() -> None:
    """Serve until a signal."""
    parser = argparse.ArgumentParser(prog="failsoft.testing.inngest_server")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8288)
    parser.add_argument("--folder", type=Path, default=Path(".inngest"), help="keeps the apps")
    parser.add_argument("--signing-key", default="", help="signs calls; in dev mode there is none")
    parser.add_argument("--event-key", action="append", default=[], help="may be given repeatedly")
    parser.add_argument("--pause-scale", type=float, default=1.0, help="multiplies pauses")
    parser.add_argument("--hooks", action="store_true", help="lets tests see runs and make calls")
    given = parser.parse_args()
    apps = Apps(given.folder / "apps.json")
    runs = Runs(apps, given.signing_key, given.pause_scale)
    keys = Keys(given.signing_key, tuple(given.event_key))
    server = Server(keys, apps, runs, has_hooks=given.hooks)
    uvicorn.run(
        server.app,
        host=given.host,
        port=given.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
