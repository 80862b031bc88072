"""What has called the command line."""

from enum import Enum


class Caller(Enum):
    """The object of a command's context; there is none where an application has called it."""

    #: The installed script, in whose process no code is loaded but Failsoft's.
    SCRIPT = "script"
