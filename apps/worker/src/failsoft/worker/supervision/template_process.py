"""The process whose forks are a supervisor's workers.

It has one thread, so that no fork gets a lock that no thread of its own will release, and never
imports a module of the application's: each worker imports those itself. See docs/decisions/0108.
"""

import gc
import importlib
import json
import os
import runpy
import socket
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from setproctitle import setproctitle
from sqlalchemy import make_url

from failsoft.dispatcher.plugins.discovery import installed
from failsoft.job_engine.attempt.own_process import flush_standard_streams
from failsoft.worker.configuration.settings import Settings
from failsoft.worker.exit_codes import FAILURE, OK
from failsoft.worker.processes.parent_death import adopting, die_with_parent
from failsoft.worker.supervision.template import ORDER, WorkerTemplate

#: Says that all is loaded.
_LOADED = b"l"
#: What every worker loads.
WORKER = "failsoft.worker.process"
#: The most descriptors that come with an order, and the most bytes that are read at a time.
_MOST, _MOST_BYTES = 8, 1 << 16
#: How often it is looked whether a fork has been adopted, in seconds.
_LOOK_SECONDS = 0.0005


def fork_template(settings: Settings) -> WorkerTemplate | None:
    """Fork the template from this process; None where a fork could not be a worker.

    That is where the system lets no process adopt another, and where this one has threads, whose
    locks a fork would hold for ever. The application's modules must not be loaded yet.

    Args:
        settings: Those of the workers; to load them, their engines' plug-ins were loaded.
    """
    if sys.platform != "linux" or threading.active_count() > 1:
        return None
    with ExitStack() as unless_forked:
        try:
            with adopting():
                pass
            ours, theirs = socket.socketpair()
            unless_forked.callback(ours.close)
            # What is not written yet would be written by each fork.
            flush_standard_streams()
            supervisor = os.getpid()
            with theirs:
                pid = os.fork()
                if pid == 0:
                    ours.close()
                    _be_template(theirs, supervisor, settings)
        except OSError:
            return None
        unless_forked.pop_all()
    return WorkerTemplate(ours, pid)


def _be_template(orders: socket.socket, supervisor: int, settings: Settings) -> NoReturn:
    """Fork a process for each order until the supervisor closes its end; be that process, or exit.

    Args:
        orders: `ORDER` for each process, with the descriptors of a socket and of what it is handed.
            The process writes its id to the socket, and reads there what it is to be.
        supervisor: The supervisor's process id.
        settings: Those of the workers.

    Raises:
        SystemExit: The end of a forked process, which has run its program.
    """
    status = FAILURE
    try:
        die_with_parent(supervisor)
        # A Ctrl-C at the terminal is the supervisor's.
        os.setsid()
        # Else a title is written over what the system shows of the environment.
        os.environ["SPT_NOENV"] = "1"
        setproctitle("failsoft.worker.template")
        _load(settings)
        if threading.active_count() == 1:
            # Else the collector would walk through it in each fork, and copy what it walks through.
            gc.collect()
            gc.freeze()
            with orders:
                orders.sendall(_LOADED)
                forked = _serve(orders, supervisor)
            if forked is not None:
                _become(*forked)
        status = OK
    except ConnectionError:
        # The supervisor ended meanwhile, perhaps before it had read that all is loaded.
        status = OK
    except SystemExit:
        raise
    except BaseException:  # noqa: BLE001 - this process ends here in any case
        traceback.print_exc()
    os._exit(status)


def _load(settings: Settings) -> None:
    # Where an interpreter that is executed for a module looks for modules.
    sys.path[:] = dict.fromkeys([str(Path.cwd()), *filter(None, sys.path)])
    importlib.import_module(WORKER)
    # Looked for once on this path; the plug-ins of the settings are loaded.
    installed()
    for each in settings.by_ledger():
        # A worker says what is wrong with its ledger.
        with suppress(Exception):
            make_url(each.ledger_url).get_dialect().import_dbapi()


def _serve(orders: socket.socket, supervisor: int) -> tuple[socket.socket, Sequence[int]] | None:
    """Return what came with the order in a forked process; None in the template, at the end."""
    while True:
        order, descriptors, _, _ = socket.recv_fds(orders, len(ORDER), _MOST)
        if not order:
            return None
        if not descriptors:
            # The limit of open files is reached.
            continue
        with ExitStack() as of_fork:
            for each in descriptors:
                of_fork.callback(os.close, each)
            between = _fork()
            if between == 0:
                _be_adopted(supervisor)
                of_fork.pop_all()
                return socket.socket(fileno=descriptors[0]), descriptors[1:]
        if between is not None:
            os.waitpid(between, 0)


def _fork() -> int | None:
    try:
        return os.fork()
    except OSError:
        # The supervisor sees the end of the socket, and executes the process itself.
        return None


def _be_adopted(supervisor: int) -> None:
    """Go on as a child of the supervisor's."""
    between = os.getpid()
    if _fork() != 0:
        os._exit(OK)
    while os.getppid() == between:
        time.sleep(_LOOK_SECONDS)
    if os.getppid() != supervisor:
        # It has ended.
        os._exit(FAILURE)


def _become(talk: socket.socket, handed: Sequence[int]) -> NoReturn:
    """Be what the supervisor says, as if an interpreter had been executed for it."""
    with talk:
        talk.sendall(b"%d" % os.getpid())
        text = b"".join(iter(partial(talk.recv, _MOST_BYTES), b""))
    if not text:
        # The supervisor waits for it no more.
        os._exit(FAILURE)
    order: dict[str, Any] = json.loads(text)
    program, words = order["program"], order["words"]
    for option, descriptor in zip(order["options"], handed, strict=True):
        words += [option, str(descriptor)]
    os.setsid()
    os.environ.clear()
    os.environ.update(order["environment"])
    # As many words as have room in place of the command's.
    setproctitle(" ".join([program, *words]))
    sys.argv = [program, *words]
    if not hasattr(sys.modules.get(program), "__path__"):
        # An interpreter that is executed for a module has not imported it by its name.
        sys.modules.pop(program, None)
    try:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    except SystemExit:
        raise
    except BaseException:  # noqa: BLE001 - as an interpreter ends
        traceback.print_exc()
        sys.exit(FAILURE)
    sys.exit(OK)
