"""The files of others are those that their list names, byte for byte."""

import hashlib
from importlib.resources import files

VENDOR = files("failsoft.console") / "static" / "vendor"


def test_every_vendored_file_has_the_digest_of_the_list() -> None:
    lines = (VENDOR / "VENDORED.txt").read_text().splitlines()
    named = {line.split()[0]: line.split()[-1] for line in lines if line and line[0] != "#"}
    there = {each.name for each in VENDOR.iterdir()} - {"VENDORED.txt"}

    assert set(named) == there
    for name, digest in named.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name
