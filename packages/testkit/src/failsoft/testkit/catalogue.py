"""The jobs that a test may run: those it dispatches or registers, and those that are imported."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from types import ModuleType
from typing import Any

from failsoft.job_engine.attempt.interrupts import Interrupt
from failsoft.job_engine.definitions.catalogue import Catalogue
from failsoft.job_engine.definitions.definition import AnyDefinition, JobDefinition
from failsoft.testkit.results import ProcessDied

#: Wraps the handler of a job that is to run.
Wrap = Callable[[AnyDefinition], AnyDefinition]


class KitCatalogue(Catalogue):
    """The jobs of a test, by name.

    A job that is neither dispatched nor registered here, as one that another job invokes, is found
    at the top level of an imported module.
    """

    def __init__(self, wrap: Wrap) -> None:
        super().__init__()
        self._wrap = wrap

    def register(self, definition: AnyDefinition) -> None:
        """Add a job.

        Raises:
            DuplicateJobError: If another one of its name is there.
        """
        self._add(definition)

    def get(self, name: str) -> AnyDefinition:
        """Return the job of a name, ready to run.

        Raises:
            UnknownJobError: If there is none.
        """
        known = self._jobs.get(name)
        if known is None or known.handler is None:
            for found in imported(name):
                self._add(found)
        return self._wrap(super().get(name))

    def known(self, name: str) -> AnyDefinition | None:
        """Return the job of a name, as it was defined; None if there is none."""
        if name not in self._jobs:
            for found in imported(name):
                self._add(found)
        return self._jobs.get(name)


def imported(name: str) -> Iterator[AnyDefinition]:
    """Find a job at the top level of the modules that are imported."""
    # Some put objects of their own, or None, into `sys.modules`.
    modules: list[object] = list(sys.modules.values())
    for module in modules:
        names = vars(module) if isinstance(module, ModuleType) else {}
        for value in list(names.values()):
            if isinstance(value, JobDefinition) and value.name == name and value.handler:
                yield value
                return


def in_loop(definition: AnyDefinition, loop: asyncio.AbstractEventLoop) -> AnyDefinition:
    """Return a job whose `async def` handler runs in a loop that runs in another thread."""
    handler: Any = definition.handler
    if handler is None or not definition.is_async:
        return definition

    @wraps(handler)
    async def elsewhere(payload: Any, ctx: Any) -> Any:
        running = asyncio.run_coroutine_threadsafe(handler(payload, ctx), loop)
        return await asyncio.wrap_future(running)

    return replace(definition, handler=elsewhere)


def noting_errors(
    definition: AnyDefinition, note: Callable[[BaseException], None]
) -> AnyDefinition:
    """Return a job whose handler's errors are noted, as they are raised."""
    handler: Any = definition.handler
    if handler is None:
        return definition

    @contextmanager
    def noting() -> Iterator[None]:
        try:
            yield
        except (Interrupt, ProcessDied):
            raise
        except BaseException as error:
            note(error)
            raise

    @wraps(handler)
    async def noting_async(payload: Any, ctx: Any) -> Any:
        with noting():
            return await handler(payload, ctx)

    @wraps(handler)
    def noting_plain(payload: Any, ctx: Any) -> Any:
        with noting():
            return handler(payload, ctx)

    return replace(definition, handler=noting_async if definition.is_async else noting_plain)
