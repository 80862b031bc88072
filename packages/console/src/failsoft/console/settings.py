"""What the console is told by the settings of a program."""

from dataclasses import dataclass, field

from failsoft.console.access.settings import Users
from failsoft.console.payloads.policy import Mode


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """The settings of a console; reading them needs no server.

    Attributes:
        enabled: Whether there is a console at all; without, every path answers 404.
        users: Who may log in, where no program says who a request is of.
        payloads: What is shown of payloads.
        title: What the console is of, beside its name in the header.
        read_only: Whether nobody may change anything.
        behind_proxy: Whether requests from anywhere are let in to view, because a proxy before the
            console lets nobody else through; only with `read_only`.
        live: Whether pages may be sent news as it comes; without, they ask every few seconds.
        trace_url: The address of a trace, with `{trace_id}` in it; empty for none.
        log_url: The address of a job's log lines, with `{job_id}` in it; empty for none.
    """

    enabled: bool = True
    users: Users = field(default_factory=Users)
    payloads: Mode = Mode.REDACTED
    title: str = ""
    read_only: bool = False
    behind_proxy: bool = False
    live: bool = True
    trace_url: str = ""
    log_url: str = ""
