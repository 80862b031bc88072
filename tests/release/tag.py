"""python -m tests.release.tag v1.2.3 FOLDER: whether the tag names the version of every wheel."""

import sys
from pathlib import Path


def main(tag: str, folder: Path) -> None:
    """Exit with a message unless all wheels of a folder are of the tag's version."""
    wheels = sorted(folder.glob("*.whl"))
    found = {wheel.name.split("-")[1] for wheel in wheels}
    if found != {tag.removeprefix("v")}:
        raise SystemExit(
            f"expected wheels of version {tag.removeprefix('v')}, as the tag says, got "
            f"{', '.join(sorted(found)) or 'none'}; correct the versions, or tag anew"
        )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
