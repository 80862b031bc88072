"""The servers of the demo's two engines, each in a folder, on settings of their own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from failsoft.dispatcher.plugins.plugin import AnyPlugin, AnySite, KillableServer
from failsoft.job_engine.errors import ConfigurationError
from failsoft.worker.configuration.settings import DEFAULT_ENGINES, Settings
from failsoft.worker.engine_sites import sites


@dataclass(frozen=True, slots=True)
class EngineServers:
    """The servers of two engines, not started.

    Attributes:
        primary: The first engine's.
        fallback: The second one's; None if it has none, as an engine on the ledger.
        forgets: Whether the first engine's loses its messages when it is killed.
        environment: The variables that lead to them.
    """

    primary: KillableServer
    fallback: KillableServer | None
    forgets: bool
    environment: Mapping[str, str] = field(default_factory=dict)


def engine_servers(settings: Settings, folder: Path) -> EngineServers:
    """Return a server for each of two engines.

    Raises:
        ConfigurationError: An engine has no server that can be started here, or the first has none
            to kill.
    """
    environment: dict[str, str] = {}
    servers: list[KillableServer | None] = []
    found = list(sites(settings))
    for plugin, site in found:
        if plugin.is_for_tests:
            raise ConfigurationError(
                f"expected engines with workers, got {site.name}, whose messages stay in one "
                "process; give another one with --engines"
            )
        address = plugin.address(site.settings)
        server = None if address is None else _server(plugin, site, folder)
        if server is not None and address is not None:
            environment[site.variables[address[0]]] = server.url
        servers.append(server)
    primary, fallback = servers
    if primary is None:
        first, second = settings.engines
        order = f"{DEFAULT_ENGINES[0] if fallback is None else second},{first}"
        raise ConfigurationError(
            f"expected a first engine with a server to kill, got {first.name}, which has none; "
            f"give it as the fallback, as in --engines {order}"
        )
    forgets = found[0][0].is_embedded_in_memory
    return EngineServers(primary, fallback, forgets, environment)


def _server(plugin: AnyPlugin, site: AnySite, folder: Path) -> KillableServer:
    server = plugin.embedded(folder / site.name, None)
    if server is not None and not isinstance(server, KillableServer):
        raise ConfigurationError(
            f"expected an engine whose server can be killed, got {site.name}, whose server has no "
            "`kill` and `is_running`; give others with --engines"
        )
    if server is None:
        raise ConfigurationError(
            f"expected an engine with a server that can be started here, got {site.name}; run: "
            f"pip install 'failsoft-engine-{plugin.kind}[embedded]', or give others with --engines"
        )
    return server
