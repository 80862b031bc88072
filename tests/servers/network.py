"""Hosts with addresses of their own on one machine: network namespaces on a bridge (Linux, root).

The tests' own processes reach every host; the hosts reach each other and the tests.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

NEEDS = (
    "root on Linux with `ip` and `setpriv`, and in a container the capabilities NET_ADMIN and "
    "SYS_ADMIN: each node of the cluster has a network namespace, which others may not make; "
    "run: sudo make test-cluster"
)
#: NET_ADMIN and SYS_ADMIN.
CAPABILITIES = (12, 21)
#: Set aside for trials of networks between one another (RFC 2544): addresses without a host.
NETWORK = "198.18"
PREFIX = "failsoft"


def missing() -> str:
    """Return what stands in the way of having hosts; empty if nothing does."""
    programs = all(map(shutil.which, ("ip", "setpriv")))
    return "" if programs and _may_make_networks() else f"expected {NEEDS}"


def _may_make_networks() -> bool:
    # Root in a container may not, unless it was started with both capabilities.
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    found = next((line.split()[1] for line in lines if line.startswith("CapEff:")), "0")
    return all(int(found, 16) >> number & 1 for number in CAPABILITIES)


class Host:
    """One namespace, with an interface on the network's bridge."""

    def __init__(self, name: str, namespace: str, address: str, interface: str) -> None:
        self.name = name
        self.address = address
        self._namespace = namespace
        self._interface = interface
        self._parted: set[str] = set()
        self._is_cut_off = False

    @property
    def is_apart(self) -> bool:
        """Whether it was cut off, or parted from another, and not connected since."""
        return self._is_cut_off or bool(self._parted)

    def command(
        self, *program: str | Path, user: int | None = None, group: int | None = None
    ) -> Sequence[str | Path]:
        """Return the command that runs a program on this host, as root or as another user."""
        into = ("ip", "netns", "exec", self._namespace)
        if user is None:
            return (*into, *program)
        ids = (f"--reuid={user}", f"--regid={group if group is not None else user}")
        return (*into, "setpriv", *ids, "--clear-groups", "--", *program)

    def cut_off(self) -> None:
        """Take the host's cable out: what is sent to it or by it is lost, without an error."""
        _ip("link", "set", self._interface, "down")
        self._is_cut_off = True

    def part_from(self, *others: "Host") -> None:
        """Lose what is sent to other hosts; the tests reach this one, and are reached, as before.

        Nothing that they begin is answered either.
        """
        for other in others:
            self._ip("route", "replace", "blackhole", f"{other.address}/32")
            self._parted.add(other.address)

    def connect(self) -> None:
        """Put the cable in again, and reach every host."""
        _ip("link", "set", self._interface, "up")
        self._is_cut_off = False
        while self._parted:
            self._ip("route", "delete", "blackhole", f"{self._parted.pop()}/32")

    def _ip(self, *arguments: str) -> None:
        _ip("-netns", self._namespace, *arguments)


#: Numbers the interfaces of a process: the kernel removes those of a deleted namespace a moment
#: later, when the next network of the process may be there.
_INTERFACES = count(1)


class Network:
    """A bridge, and the hosts on it; a context manager makes and removes them."""

    def __init__(self) -> None:
        # Of this process, so that two runs on one machine have two networks.
        self._number = os.getpid()
        self._subnet = f"{NETWORK}.{self._number % 256}"
        self._bridge = f"us-br{self._number}"
        self._stack = ExitStack()
        self._hosts = 0

    def add(self, name: str) -> Host:
        """Make a host."""
        self._hosts += 1
        address = f"{self._subnet}.{10 + self._hosts}"
        number = next(_INTERFACES)
        namespace = f"{PREFIX}-{self._number}-{name}"
        outer, inner = f"us{self._number}-{number}", f"us{self._number}i{number}"
        _ip("netns", "add", namespace)
        self._stack.callback(_ip, "netns", "delete", namespace)
        _ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", namespace)
        _ip("link", "set", outer, "master", self._bridge, "up")
        _ip("-netns", namespace, "address", "add", f"{address}/24", "dev", inner)
        _ip("-netns", namespace, "link", "set", inner, "up")
        _ip("-netns", namespace, "link", "set", "lo", "up")
        return Host(name, namespace, address, outer)

    def __enter__(self) -> Self:
        _remove_what_was_left()
        with ExitStack() as stack:
            _ip("link", "add", self._bridge, "type", "bridge", "forward_delay", "0")
            stack.callback(_ip, "link", "delete", self._bridge)
            _ip("address", "add", f"{self._subnet}.1/24", "dev", self._bridge)
            _ip("link", "set", self._bridge, "up")
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()


def _remove_what_was_left() -> None:
    """Remove the hosts and bridges of runs that were killed."""
    for line in _ip("-o", "link", "show", "type", "bridge").splitlines():
        name = line.split(":")[1].strip()
        if name.startswith("us-br") and _has_ended(name.removeprefix("us-br")):
            _ip("link", "delete", name)
    for line in _ip("netns", "list").splitlines():
        name = line.split()[0]
        if name.startswith(f"{PREFIX}-") and _has_ended(name.split("-")[1]):
            _ip("netns", "delete", name)


def _has_ended(pid: str) -> bool:
    return pid.isdecimal() and not psutil.pid_exists(int(pid))


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr.strip()}"
    return done.stdout


if __name__ == "__main__":
    sys.exit(missing() or 0)
