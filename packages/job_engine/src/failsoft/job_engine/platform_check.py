"""Refuses a system that Failsoft does not run on, before something less clear does.

Imported first by the package that every other one imports.
"""

import os

if os.name != "posix":
    raise ImportError(
        "expected a POSIX system, such as Linux or macOS, got one that Python calls "
        f"{os.name!r}: Failsoft forks processes, sends signals and locks files; on Windows run "
        "it in WSL or in a Linux container"
    )
