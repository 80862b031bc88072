"""`make vendor`: take the files of others from their npm packages, and refuse any other.

python -m tests.console.vendor
"""

import hashlib
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

FOLDER = Path(__file__).parents[2] / "packages/console/src/failsoft/console/static/vendor"


def main() -> int:
    rows = [line.split() for line in (FOLDER / "VENDORED.txt").read_text().splitlines()]
    wrong = []
    for name, package, version, path, digest in (row for row in rows if row and row[0] != "#"):
        content = packed(package, version, path)
        if hashlib.sha256(content).hexdigest() == digest:
            (FOLDER / name).write_bytes(content)
        else:
            wrong.append(name)
    if wrong:
        sys.stderr.write(f"expected the digests of VENDORED.txt, got others of {wrong}\n")
    return int(bool(wrong))


def packed(package: str, version: str, path: str) -> bytes:
    """Return a file of an npm package; its digest is the caller's to compare."""
    with TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", f"{package}@{version}"]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        packed = BytesIO((Path(folder) / done.stdout.split()[-1]).read_bytes())
        with tarfile.open(fileobj=packed) as archive:
            member = archive.extractfile(f"package/{path}")
            assert member is not None
            return member.read()


if __name__ == "__main__":
    sys.exit(main())
