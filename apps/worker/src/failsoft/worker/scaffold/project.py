"""A new application: its options, and the files they come to."""

import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import metadata, version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from failsoft.dispatcher.plugins.discovery import EngineName, distribution, plugin
from failsoft.job_engine.errors import OptionInvalidError
from failsoft.worker.configuration.engine_settings import shown_variables
from failsoft.worker.scaffold.frameworks import FRAMEWORKS, Framework
from failsoft.worker.scaffold.rendering import rendered

Ledger = Literal["sqlite", "postgresql"]

_TEMPLATE = files(__name__.rpartition(".")[0]) / "template"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
#: The folder of the application's tests stands beside its package.
_TAKEN = "tests"
_VOLUME = re.compile(r'volumes: \["(\w+):')
_TOOLS = ("failsoft[test]", "mypy>=1.18", "pytest>=8", "ruff>=0.14")
_DOCKER = """
`docker compose up --build` runs all of it in containers: this application, its workers, the
brokers and the ledger.
"""


@dataclass(frozen=True, slots=True)
class Project:
    """What a new application is made with.

    Attributes:
        name: Of its package and its folder.
        framework: What its requests come by.
        engines: In order of preference.
        ledger: Where its jobs are recorded.
        docker: Whether it gets an image and a `compose.yaml`.

    Raises:
        OptionInvalidError: The name would hide another module, or an engine has an alias; the
            message says what is allowed.
        ConfigurationError: An engine is not installed; the message names those that are.
    """

    name: str
    framework: Framework
    engines: Sequence[EngineName]
    ledger: Ledger
    docker: bool = False

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_engines(self.engines)

    def files(self) -> Iterator[tuple[Path, str]]:
        """Yield the files: where each goes in the folder, and its text."""
        words = self._words()
        for part in self._parts():
            yield from rendered(_TEMPLATE / part, self.name, words)

    def _parts(self) -> Iterator[str]:
        yield "common"
        if not FRAMEWORKS[self.framework].has_jobs:
            yield "jobs"
        yield f"frameworks/{self.framework}"
        if self.docker:
            yield "docker"

    def _words(self) -> Mapping[str, str]:
        kit = FRAMEWORKS[self.framework]
        names = [engine.name for engine in self.engines]
        variables = {name: self._filled(value) for name, value in kit.variables.items()}
        quoted = ", ".join(f'"{name}"' for name in names)
        return {
            "package": self.name,
            "distribution": self.name.replace("_", "-"),
            "dependencies": _listed([*kit.requirements, *map(_distribution, names)]),
            "dev_dependencies": _listed([*_servers(names), *_TOOLS, *kit.development]),
            "engines": ",".join(names),
            "engine_names": quoted if len(names) > 1 else f"{quoted},",
            "engines_in_words": ", ".join(names),
            "ledger_title": "a file of SQLite" if self.ledger == "sqlite" else "PostgreSQL",
            "ledger_setting": _text(f"ledgers/{self.ledger}.env").rstrip(),
            "broker_settings": "\n".join(_addresses(self.engines)),
            "jobs_setting": kit.jobs or f"{self.name}.jobs.orders,{self.name}.jobs.reports",
            "jobs_place": f"{self.name}/tasks.py" if kit.has_jobs else f"{self.name}/jobs",
            "exports": "".join(f"export {name} = {it}\n" for name, it in variables.items()),
            # `failsoft dev` upgrades the ledger that it makes itself.
            "upgrade": "" if self.ledger == "sqlite" else "\tfailsoft ledger upgrade\n",
            "pytest_settings": self._filled(kit.pytest),
            "run_title": kit.title,
            "run_command": self._filled(kit.run),
            "serve_command": self._filled(kit.serve),
            "request": kit.request,
            "docker_words": _DOCKER if self.docker else "",
            **kit.words,
            **self._compose(variables),
        }

    def _compose(self, variables: Mapping[str, str]) -> Mapping[str, str]:
        """Return what stands in `compose.yaml` for these engines and this ledger."""
        parts = [f"brokers/{engine.kind}.yaml" for engine in self.engines]
        texts = [_text(part) for part in parts if (_TEMPLATE / part).is_file()]
        split = [each.partition("\n") for each in (*texts, _text(f"ledgers/{self.ledger}.yaml"))]
        settings = [first for first, _, _ in split]
        services = "".join(service for _, _, service in split)
        mounted = '  volumes: ["ledger:/data"]\n' if self.ledger == "sqlite" else ""
        volumes = "".join(f"  {name}:\n" for name in _VOLUME.findall(mounted + services))
        own = [f"{name}: {value}" for name, value in variables.items()]
        return {
            "compose_environment": "\n".join(f"    {each}" for each in (*settings, *own)),
            "compose_volumes": mounted,
            "compose_services": (f"{services}\nvolumes:\n{volumes}" if volumes else "").rstrip(),
        }

    def _filled(self, text: str) -> str:
        return text.replace("{package}", self.name)


def _check_name(name: str) -> None:
    allowed = "expected the name of a new package, of at most 40 lower-case letters, digits and _"
    if _NAME.fullmatch(name) is None or keyword.iskeyword(name):
        raise OptionInvalidError(f"{allowed}, that begins with a letter, got {name!r}")
    if name == _TAKEN or find_spec(name) is not None:
        raise OptionInvalidError(
            f"{allowed}, got {name!r}, which is a module already; take another, as my_{name}"
        )


def _check_engines(engines: Sequence[EngineName]) -> None:
    for engine in engines:
        if engine.name != engine.kind:
            raise OptionInvalidError(
                f"expected engines without aliases, got {engine}; give aliases in .env afterwards"
            )
        plugin(engine.kind)


def _addresses(engines: Sequence[EngineName]) -> Iterator[str]:
    """Yield the variable of each server, as a comment."""
    for engine in engines:
        found = plugin(engine.kind)
        address = found.address(found.settings())
        if address is not None:
            yield f"# {shown_variables(engine)[address[0]]}="


def _distribution(kind: str) -> str:
    return distribution(kind).partition(" ")[0]


def _servers(kinds: Sequence[str]) -> Iterator[str]:
    """Yield the requirements of the servers that `failsoft dev` starts."""
    for name in map(_distribution, kinds):
        if "embedded" in (metadata(name).get_all("Provides-Extra") or ()):
            yield f"{name}[embedded]"


def _listed(requirements: Sequence[str]) -> str:
    return "\n".join(f'    "{_pinned(each)}",' for each in requirements)


def _pinned(requirement: str) -> str:
    """Return a requirement with the versions that fit, where it is one of ours."""
    name = requirement.partition("[")[0]
    if not name.startswith("failsoft") or ">" in name:
        return requirement
    major, minor = version(name).split(".")[:2]
    return f"{requirement}>={major}.{minor},<{major}.{int(minor) + 1}"


def _text(part: str) -> str:
    return (_TEMPLATE / part).read_text(encoding="utf-8")
