"""The call sites of RQ, Dramatiq and Celery in one module."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import libcst as cst
from libcst.helpers import get_full_name_for_node
from libcst.metadata import MetadataWrapper, PositionProvider

#: The libraries whose call sites are looked for.
LIBRARIES = ("rq", "dramatiq", "celery")

_ENQUEUE = "a dispatch by FailsoftQueue"
_SEND = "a dispatch by FailsoftBroker"
_CALL = "a dispatch by FailsoftTask"
_OF_ITS_LIBRARY = "a dispatch by the shim of its library"

#: What a method of that name becomes, by the library that a module imports.
_METHODS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "rq": {
            "enqueue": _ENQUEUE,
            "enqueue_call": _ENQUEUE,
            "enqueue_at": _ENQUEUE,
            "enqueue_in": _ENQUEUE,
            "enqueue_many": f"{_ENQUEUE}; a chain for depends_on",
            "delay": _ENQUEUE,
        },
        "dramatiq": {
            "send": _SEND,
            "send_with_options": _SEND,
            "add_completion_callback": "the completion of a group",
        },
        "celery": {
            "delay": _CALL,
            "apply_async": _CALL,
            "retry": "another attempt of the job",
            "send_task": "a call of the task",
            "update_state": "ctx.progress in a job",
            "add_periodic_task": "a schedule: see `failsoft adopt import-beat`",
        },
    }
)
#: What a function or class of that name becomes.
_NAMES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "rq": {
            "Queue": "FailsoftQueue",
            "job": "the decorator, with a FailsoftQueue",
            "Repeat": "@job(schedule=Every(...))",
        },
        "dramatiq": {
            "actor": "an actor of a FailsoftBroker",
            "RedisBroker": "FailsoftBroker",
            "RabbitmqBroker": "FailsoftBroker",
            "set_broker": "the same, with a FailsoftBroker",
            "pipeline": "a chain",
            "Results": "message.get_result, which reads the ledger",
        },
        "celery": {
            "Celery": "Celery(task_cls=FailsoftTask)",
            "shared_task": "a task of an app with task_cls=FailsoftTask",
            "task": "a task of an app with task_cls=FailsoftTask",
            "chain": "a chain",
            "group": "jobs side by side",
            "chord": "a group with a completion",
        },
    }
)
#: The calls that block, with what is to be done.
_BLOCKED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "rq": {"Repeat": "not carried over"},
        "dramatiq": {"Results": "leave it out"},
        "celery": {
            "send_task": "it goes to Celery's broker: call the task",
            "update_state": "not carried over",
        },
    }
)
#: The arguments that block, with what is to be done.
_ARGUMENTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "rq": {
            "result_ttl": "leave it out",
            "failure_ttl": "leave it out",
            "repeat": "not carried over",
            "on_success": "not carried over",
            "on_stopped": "not carried over",
            "rate_limit": "not carried over",
            "webhooks": "not carried over",
            "pipeline": "not carried over",
            "depends_on": "give both to enqueue_many",
        },
        "dramatiq": {
            "result_ttl": "leave it out",
            "on_retry_exhausted": "not carried over",
            "notify_shutdown": "not carried over",
        },
        "celery": {
            "serializer": "arguments are JSON",
            "headers": "pass arguments",
            "shadow": "not carried over",
            "compression": "leave it out",
        },
    }
)
#: The arguments that block only in some calls.
_ONLY_IN: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "pipeline": frozenset({"enqueue", "enqueue_call", "enqueue_at", "enqueue_in"}),
        "headers": frozenset({"apply_async"}),
    }
)


@dataclass(frozen=True, slots=True)
class CallSite:
    """One call of another queue's.

    Attributes:
        path: The file.
        line: The line in it, from 1.
        library: `rq`, `dramatiq` or `celery`; empty where the module imports none of them.
        call: What is called, as it is written.
        becomes: What it becomes with Failsoft's shim.
        blocked: What of it is not carried over, and what to do; empty if nothing is.
    """

    path: Path
    line: int
    library: str
    call: str
    becomes: str
    blocked: str


def sites_of(path: Path, text: str) -> Sequence[CallSite]:
    """Return the call sites of a module, in their order.

    Args:
        path: Its file.
        text: Its code.

    Raises:
        libcst.ParserSyntaxError: It is no Python.
    """
    wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
    visitor = _Sites(path, wrapper.module)
    wrapper.visit(visitor)
    return sorted(visitor.sites, key=lambda site: site.line)


class _Sites(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, path: Path, module: cst.Module) -> None:
        super().__init__()
        self.sites: list[CallSite] = []
        self._path = path
        self._module = module
        imports = _Imports()
        module.visit(imports)
        # A module that imports none may call what another one has made.
        self._libraries = [each for each in LIBRARIES if each in imports.found] or LIBRARIES
        self._is_sure = bool(imports.found)

    def visit_Call(self, node: cst.Call) -> None:  # noqa: N802 - libcst's
        self._note(node.func, node)

    def visit_Decorator(self, node: cst.Decorator) -> None:  # noqa: N802 - libcst's
        if not isinstance(node.decorator, cst.Call):
            self._note(node.decorator, None)

    def _note(self, function: cst.BaseExpression, call: cst.Call | None) -> None:
        is_method = isinstance(function, cst.Attribute)
        name = function.attr.value if isinstance(function, cst.Attribute) else _name_of(function)
        for library in self._libraries:
            named = _NAMES[library].get(name) if self._is_sure else None
            becomes = (_METHODS[library].get(name) if is_method else None) or named
            if becomes is None or (not self._is_sure and _is_common(name)):
                continue
            position: Any = self.get_metadata(PositionProvider, function)
            self.sites.append(
                CallSite(
                    self._path,
                    position.start.line,
                    library if self._is_sure else "",
                    self._module.code_for_node(function),
                    becomes if self._is_sure else _OF_ITS_LIBRARY,
                    "; ".join(_blocks(library, name, call)),
                )
            )
            return


class _Imports(cst.CSTVisitor):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def visit_Import(self, node: cst.Import) -> None:  # noqa: N802 - libcst's
        for each in node.names:
            self.found.add(each.evaluated_name.partition(".")[0])

    def visit_ImportFrom(self, node: cst.ImportFrom) -> None:  # noqa: N802 - libcst's
        if node.module is not None and not node.relative:
            name = get_full_name_for_node(node.module) or ""
            self.found.add(name.partition(".")[0])

    def leave_Module(self, original_node: cst.Module) -> None:  # noqa: N802 - libcst's
        self.found &= set(LIBRARIES)


def _name_of(function: cst.BaseExpression) -> str:
    return function.value if isinstance(function, cst.Name) else ""


def _is_common(name: str) -> bool:
    # Of modules that import no queue: too many other objects have such a method.
    return name in {"send", "retry", "group", "job", "task"}


def _blocks(library: str, name: str, call: cst.Call | None) -> Sequence[str]:
    found = []
    if todo := _BLOCKED[library].get(name):
        found.append(f"{name}: {todo}")
    for each in () if call is None else call.args:
        argument = "" if each.keyword is None else each.keyword.value
        todo = _ARGUMENTS[library].get(argument, "")
        if todo and name in _ONLY_IN.get(argument, {name}) and not _is_fit(argument, each.value):
            found.append(f"{argument}: {todo}")
        if isinstance(each.value, cst.Lambda):
            found.append("a lambda: put the function at the top of a module")
    return found


def _is_fit(argument: str, value: cst.BaseExpression) -> bool:
    is_json = isinstance(value, cst.SimpleString) and value.evaluated_value == "json"
    return argument == "serializer" and is_json
