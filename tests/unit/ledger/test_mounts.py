"""Which file system a folder is on, whatever mount points are called and however they overlap."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from failsoft.ledger.database.sqlite.mounts import UNKNOWN, file_system, type_of

MOUNTINFO = rb"""21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:5 / /proc rw - proc proc rw
30 21 0:40 / /mnt/net rw shared:7 master:3 - nfs4 host:/x rw
31 21 8:1 /srv/data /mnt/bind rw - ext4 /dev/sda1 rw
32 21 0:41 / /mnt/with\040space\011and\134back rw - cifs //h/share\040x rw
33 21 0:42 / /mnt/\377\376raw rw - tmpfs tmpfs rw
34 30 0:43 / /mnt/net rw - tmpfs tmpfs rw
35 21 0:44 / /mnt/odd rw optional:1 - fuse.sshfs me@h:/a\040-\040b rw
broken
36 21
"""

UNSHARE = shutil.which("unshare")
#: Mounts file systems of its own, in a namespace of its own, and says what each folder is on.
SCRIPT = """
import os, subprocess, sys
from pathlib import Path
from failsoft.ledger.database.sqlite.mounts import file_system

base = Path(sys.argv[1])
odd = os.fsdecode(b"with space\\tand \\\\ and \\xff\\xfe")
for name in ("plain", odd, "bound", "below/inner"):
    (base / name).mkdir(parents=True)

def mount(*words):
    subprocess.run(["mount", *words], check=True)

kinds = [file_system(base / "plain")]
mount("-t", "tmpfs", "tmpfs", base / odd)
mount("--bind", base / odd, base / "bound")
mount("-t", "tmpfs", "tmpfs", base / "below/inner")
# Hides the mount below it: the folder of that name is on the ramfs now.
mount("-t", "ramfs", "ramfs", base / "below")
(base / "below/inner").mkdir()
(base / "link").symlink_to(base / odd)
for name in (odd, "bound", "below/inner", "link"):
    kinds.append(file_system((base / name).resolve()))
mount("-t", "ramfs", "ramfs", base / odd)
kinds.append(file_system(base / odd))
print(" ".join(kinds))
"""


@pytest.mark.parametrize(
    ("mount", "kind"),
    [
        *((21, "ext4"), (30, "nfs4"), (31, "ext4"), (32, "cifs"), (33, "tmpfs"), (34, "tmpfs")),
        *((35, "fuse.sshfs"), (36, UNKNOWN), (3, UNKNOWN), (99, UNKNOWN)),
    ],
)
def test_a_mount_is_found_by_its_number(mount: int, kind: str) -> None:
    assert type_of(mount, MOUNTINFO) == kind


def test_proc_is_known_as_itself() -> None:
    assert file_system(Path("/proc")) == "proc"


def test_a_folder_that_is_not_there_is_on_nothing(tmp_path: Path) -> None:
    assert file_system(tmp_path / "absent") == UNKNOWN


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))

    for _ in range(10):
        file_system(tmp_path)

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def may_mount() -> bool:
    command = [str(UNSHARE), "--mount", "--map-root-user", "true"]
    return UNSHARE is not None and not subprocess.run(command, check=False).returncode


@pytest.mark.skipif(not may_mount(), reason="needs `unshare` and a namespace of its own")
def test_bound_hidden_and_oddly_named_mounts_are_distinguished(tmp_path: Path) -> None:
    command = [str(UNSHARE), "--mount", "--map-root-user", sys.executable, "-c", SCRIPT]
    done = subprocess.run([*command, tmp_path], capture_output=True, text=True, check=True)

    plain, *kinds = done.stdout.split()
    assert plain not in ("tmpfs", "ramfs", UNKNOWN) or plain == file_system(tmp_path)
    assert kinds == ["tmpfs", "tmpfs", "ramfs", "tmpfs", "ramfs"]
