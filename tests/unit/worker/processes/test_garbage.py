"""When a program looks for garbage, seen in processes of their own."""

import subprocess
import sys

import pytest

IMPORTS = "import gc\nfrom failsoft.worker.processes.garbage import *\n"


def printed(program: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", IMPORTS + program], capture_output=True, text=True, check=True
    )
    return ran.stdout.strip()


def test_it_looks_seldom_until_all_is_loaded_and_then_not_in_that() -> None:
    found = printed(
        "usual = gc.get_threshold()\n"
        "collect_seldom()\n"
        "seldom = gc.get_threshold()[0] > 100 * usual[0]\n"
        "keep_what_is_loaded()\n"
        "print(seldom, gc.get_threshold() == usual, gc.get_freeze_count() > 1000)\n"
    )

    assert found == "True True True"


@pytest.mark.parametrize(("begin", "expected"), [("", "looked"), ("collect_seldom()\n", "")])
def test_it_does_not_look_at_the_end(begin: str, expected: str) -> None:
    found = printed(
        f"{begin}class Ring:\n"
        "    def __del__(self):\n"
        "        print('looked')\n"
        "ring = Ring()\n"
        "ring.itself = ring\n"
        "del ring\n"
    )

    assert found == expected
