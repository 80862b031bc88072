"""Check that the installed libraries have supported versions."""

from collections.abc import Iterator
from importlib.metadata import version

from failsoft.dispatcher.plugins.plugin import Supported
from failsoft.job_engine.values.findings import Finding, failure, fine
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.engine_sites import sites

#: As the members of the workspace require them.
SUPPORTED = (Supported("sqlalchemy", (2, 0, 44)),)


def look_at_versions(settings: Settings) -> Iterator[Finding]:
    """Compare what is installed with what is supported, by the core and by the engines."""
    libraries = [each for plugin, _ in sites(settings) for each in plugin.libraries]
    for each in dict.fromkeys([*libraries, *SUPPORTED]):
        found = version(each.name)
        if each.includes(found):
            yield fine(f"version {each.name}", found)
        else:
            yield failure(f"version {each.name}", found, f"pip install '{each}'")
