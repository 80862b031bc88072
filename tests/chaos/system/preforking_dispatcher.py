"""A dispatcher that forks, as a web server does that loads the application first (`preload_app`).

    python -m tests.chaos.system.preforking_dispatcher

Its orders are those of `tests.chaos.system.dispatcher_process`. The parent dispatches something
before it forks, so that what it has open would be the child's, too; the children do the work. One
that is gone is forked again.
"""

import os
import signal
import threading
import traceback
from dataclasses import replace

from failsoft.worker.wiring import App
from tests.chaos.system.dispatcher_process import DispatcherProcess, Orders, begin

CHILDREN = 2
#: How often the parent looks after its children, in seconds.
PAUSE = 0.2


class Preforking:
    """The parent of some processes that dispatch."""

    def __init__(self, orders: Orders, app: App) -> None:
        self._orders = orders
        self._app = app
        self._own = DispatcherProcess(orders, app)
        self._children: set[int] = set()
        self._forked = 0

    def run(self) -> None:
        """Keep the children at work until SIGTERM, and wait for them."""
        stopping = self._own.stopping
        signal.signal(signal.SIGTERM, lambda signum, frame: stopping.set())
        while not stopping.wait(PAUSE):
            self._bury()
            while len(self._children) < CHILDREN and not stopping.is_set():
                self._own.request_once()
                self._fork()
        for child in self._children:
            os.kill(child, signal.SIGTERM)
        while self._children:
            self._bury()
            threading.Event().wait(PAUSE)
        self._app.dispatcher.close()

    def _bury(self) -> None:
        for child in tuple(self._children):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                self._children.remove(child)
                if (code := os.waitstatus_to_exitcode(status)) > 0:
                    self._own.tell_broken(f"a forked dispatcher ended with {code}")

    def _fork(self) -> None:
        self._forked += 1
        # A SIGTERM that comes before the child has a handler of its own would stop a copy of the
        # parent, and the child would work for ever.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        parent, child = os.getpid(), os.fork()
        if child:
            self._children.add(child)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            return
        status = 1
        try:
            self._work(parent)
            status = 0
        except BaseException:  # noqa: BLE001 - reported by the parent; no frame of its own may go on
            traceback.print_exc()
        finally:
            os._exit(status)

    def _work(self, parent: int) -> None:
        boot = f"{self._orders.boot}f{self._forked}"
        orders = replace(self._orders, boot=boot, rate=self._orders.rate / CHILDREN)
        # What the parent has built, as such a server's children use it.
        process = DispatcherProcess(orders, self._app)
        signal.signal(signal.SIGTERM, lambda signum, frame: process.stopping.set())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        process.run(goes_on=lambda: os.getppid() == parent)


if __name__ == "__main__":
    Preforking(*begin()).run()
