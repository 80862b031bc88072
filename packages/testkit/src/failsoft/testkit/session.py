"""Opening a kit for one test, and what holds at the test's end."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from failsoft.dispatcher.default import dispatcher_in_use, use_dispatcher
from failsoft.job_engine.definitions.definition import AnyDefinition
from failsoft.job_engine.definitions.importing import definitions_of
from failsoft.job_engine.errors import ConfigurationError
from failsoft.job_engine.validation import did_you_mean
from failsoft.testkit.kit import Testkit
from failsoft.testkit.memory_world import MemoryWorld
from failsoft.testkit.results import UnfinishedJobs
from failsoft.testkit.world import World

Mode = Literal["manual", "inline", "real"]
LedgerName = Literal["memory", "sqlite", "postgresql"]
ENGINES = ("rq", "dramatiq")
#: The ledgers of mode `real`, the first of which is taken where none is named.
LEDGERS = ("sqlite", "postgresql")


@dataclass(frozen=True, slots=True)
class KitOptions:
    """How a kit is made.

    Attributes:
        mode: `manual` runs jobs in `drain`, `inline` at each dispatch; `real` as `manual`, on
            servers and in worker processes.
        ledger: The ledger of mode `real`, `sqlite` or `postgresql`; of the others it is `memory`.
        engines: The names of the engines, in order of preference.
        jobs: Jobs, or names of modules, that the test has besides those that it dispatches.
        start: Where the kit's clock begins; now, where it is None.
    """

    mode: Mode = "manual"
    ledger: LedgerName | None = None
    engines: Sequence[str] = ENGINES
    jobs: Sequence[AnyDefinition | str] = ()
    start: datetime | None = None


def options_of(args: Sequence[object], given: Mapping[str, Any]) -> KitOptions:
    """Read the options of a marker.

    Raises:
        ConfigurationError: One is unknown or wrong; the message names those there are.
    """
    known = [each.name for each in fields(KitOptions)]
    if args:
        raise ConfigurationError(f"expected options by name ({', '.join(known)}), got {args[0]!r}")
    for name in given:
        if name not in known:
            raise ConfigurationError(
                f"expected options of failsoft ({', '.join(known)}), got {name!r}"
                f"{did_you_mean(name, known)}"
            )
    options = KitOptions(**given)
    _one_of("mode", options.mode, get_args(Mode))
    if options.ledger is not None:
        known_ledgers = LEDGERS if options.mode == "real" else ("memory",)
        _one_of(f"ledger in mode {options.mode!r}", options.ledger, known_ledgers)
    if isinstance(options.engines, str) or not options.engines:
        raise ConfigurationError(f"expected engines=(names, ...), got {options.engines!r}")
    return options


@contextmanager
def opened(
    options: KitOptions, *, modules: Sequence[str] = (), strict: bool = False
) -> Iterator[Testkit]:
    """Open a kit and make its dispatcher this process's; take both back at the end.

    Args:
        options: How it is made.
        modules: Modules whose jobs it has.
        strict: Whether jobs that are left behind are an error.

    Raises:
        ConfigurationError: Another dispatcher is in use in this process.
    """
    expect_no_dispatcher()
    with ExitStack() as stack:
        world = _world(options)
        stack.callback(world.close)
        kit = Testkit(world)
        use_dispatcher(world.dispatcher)
        stack.callback(use_dispatcher, None)
        kit.register(*_jobs(options.jobs, modules))
        if options.mode == "inline":
            stack.enter_context(kit.inline())
        yield kit
        left = _left(kit)
    if left and strict:
        raise AssertionError(left)
    if left:
        warnings.warn(left, UnfinishedJobs, stacklevel=2)


def _world(options: KitOptions) -> World:
    if options.mode != "real":
        return MemoryWorld(options.engines, options.start or datetime.now(UTC))
    try:
        # Imported here: it needs the worker app, and servers that most tests do without.
        from failsoft.testkit.real_world import RealWorld  # noqa: PLC0415 - see above
    except ImportError as error:
        raise ConfigurationError(
            f"expected failsoft-worker for mode='real', got none ({error}); run: "
            "pip install 'failsoft[embedded,test]', or take mode='manual'"
        ) from error
    return RealWorld(
        options.engines, options.start, "postgresql" if options.ledger == "postgresql" else "sqlite"
    )


def expect_no_dispatcher() -> None:
    """Refuse to replace a dispatcher that the program uses.

    Raises:
        ConfigurationError: There is one; the message says where it comes from.
    """
    origin = dispatcher_in_use()
    if origin is not None:
        raise ConfigurationError(
            f"expected no dispatcher in use before the fixture `failsoft`, got one: {origin}; the "
            "fixture would replace it. Call use_dispatcher(None) first, and dispatch in tests that "
            "request the fixture"
        )


def _jobs(given: Sequence[AnyDefinition | str], modules: Sequence[str]) -> list[AnyDefinition]:
    names = [*modules, *(each for each in given if isinstance(each, str))]
    jobs = [each for each in given if not isinstance(each, str)]
    found = {id(job): job for job in [*jobs, *(j for name in names for j in definitions_of(name))]}
    return list(found.values())


def _left(kit: Testkit) -> str:
    jobs = kit.unfinished()
    if not jobs:
        return ""
    named = "; ".join(f"{job.name} {job.id} {job.state}" for job in jobs)
    return (
        f"the test ended with {len(jobs)} unfinished: {named}; drain() them, or cancel() what the "
        "test does not mean to run"
    )


def _one_of(name: str, value: object, known: Sequence[str]) -> None:
    if value not in known:
        raise ConfigurationError(f"expected {name} to be one of {', '.join(known)}, got {value!r}")
