"""What the authors of engines test theirs on: a bench with both halves, and servers to break.

    class MyBench(PluginBench):
        foreign = (ForeignMessage(b'{"func": "os.system"}'),)

        def __init__(self, folder: Path) -> None:
            server = ServerProcess(folder, ["my-server", "--port", PORT])
            super().__init__(PLUGIN, server, url=f"tcp://{server.address}")

        def plant(self, message: ForeignMessage) -> None: ...

With such a bench `EngineSuite` and `WorkerSuite` run under pytest, and `failsoft engines test`
runs them without. docs/how-to/add-an-engine.md is a whole one.
"""

from failsoft.testing.engine_kit.bench import Bench, PluginBench, post_of, site_of
from failsoft.testing.engine_kit.servers import PORT, Server, ServerProcess, is_listening

__all__ = [
    "PORT",
    "Bench",
    "PluginBench",
    "Server",
    "ServerProcess",
    "is_listening",
    "post_of",
    "site_of",
]
