"""Who the events name when somebody asks at a terminal."""

import getpass


def actor() -> str:
    """Return the user of this terminal."""
    return f"{getpass.getuser()} (command line)"
