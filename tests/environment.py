"""The environment that tests run in: what a developer, an editor or a CI system sets is forgotten.

What a variable means is tested by tests that set it.
"""

import os
from collections.abc import MutableMapping

#: What settings, database drivers and others read.
PREFIXES = ("FAILSOFT_", "REDIS_", "SMTP_", "PG", "RQ_", "LC_")
NAMES = frozenset(
    {
        *("USE_RQ", "AMQP_URL", "CLOUDAMQP_URL", "RABBITMQ_URL", "DATABASE_URL"),
        *("TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE"),
        *("TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS", "LINES", "JUPYTER_COLUMNS"),
        *("PAGER", "LESS", "LANG", "LANGUAGE", "PYTHONIOENCODING", "PYTHONUTF8"),
        *("PYTHONWARNINGS", "PYTHONOPTIMIZE", "PYTHONHASHSEED"),
        # Hundreds of processes would compile everything again.
        "PYTHONDONTWRITEBYTECODE",
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    }
)
#: Those of the tests themselves.
KEPT = "FAILSOFT_TEST"
#: What a program needs to know of a terminal and of letters, the same everywhere; and that no title
#: of a process is written over what the system shows of its environment, by which tests find what
#: they have left running.
GIVEN = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "SPT_NOENV": "1"}


def forget(environment: MutableMapping[str, str] = os.environ) -> None:
    """Forget what says anything to the programs under test, and set what they need."""
    for name in list(environment):
        if (name.startswith(PREFIXES) or name in NAMES) and not name.startswith(KEPT):
            del environment[name]
    environment.update(GIVEN)
