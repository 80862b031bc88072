"""One console: its environment, its way in, its pages and its addresses."""

import base64
import binascii
import hashlib
import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from failsoft.console.access.gate import Gate
from failsoft.console.bulk_thread import BulkThread
from failsoft.console.environment import Environment, Ledger
from failsoft.console.panels import LastAnswers
from failsoft.console.payloads.policy import PayloadPolicy
from failsoft.console.settings import ConsoleSettings
from failsoft.console.static_files import static_files
from failsoft.console.views.templates import templates
from failsoft.job_engine.errors import FailsoftError, LedgerUnavailableError
from failsoft.job_engine.ports.console import AuditEntry
from failsoft.job_engine.records.states import JobState
from failsoft.job_engine.values.redaction import redacted
from failsoft.job_engine.values.visible import visible

logger: logging.Logger = logging.getLogger("failsoft.console")

#: The cookie that carries what an action came to, to the next page.
FLASH = "failsoft_done"
_FLASH_SECONDS = 30
#: For how long after an action no page is read from a replica: as far as one may be behind.
OWN_SECONDS = 10.0
_MOST_FLASH_CHARS = 600
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")


class Site:
    """What every request of a console shares; safe for several threads.

    Attributes:
        environment: Where the ledger and the engines come from.
        gate: The way in.
        policy: What is shown of payloads.
        answers: What panels showed last.
        bulks: What carries bulks on.
        routes: By name; set once they are made.
    """

    routes: Mapping[str, Route]

    def __init__(self, environment: Environment, gate: Gate, policy: PayloadPolicy) -> None:
        self.environment = environment
        self.gate = gate
        self.policy = policy
        self.answers = LastAnswers()
        self.bulks = BulkThread()
        self._acted_at = float("-inf")

    def close(self) -> None:
        """Take no further turn of a bulk, and close what the environment has opened."""
        self.bulks.stop()
        self.environment.close()

    @property
    def has_just_acted(self) -> bool:
        """Whether an action was carried out by this process a moment ago."""
        return monotonic() - self._acted_at < OWN_SECONDS

    def note_action(self) -> None:
        """Let the next pages be read from the ledger itself."""
        self._acted_at = monotonic()

    @property
    def settings(self) -> ConsoleSettings:
        """The settings."""
        return self.environment.settings

    def prefix_of(self, request: Request, *, trusts_proxy: bool) -> str:
        """Return where the console is mounted, as the browser sees it.

        Args:
            request: The request.
            trusts_proxy: Whether `X-Forwarded-Prefix` is read, as it is where a login is needed.
        """
        mounted = str(request.scope.get("root_path", "")).rstrip("/")
        given = request.headers.get("x-forwarded-prefix", "").rstrip("/")
        if trusts_proxy and _PREFIX.fullmatch(given) and not mounted.startswith(given):
            return given + mounted
        return mounted

    def url(self, prefix: str, name: str, /, **parameters: str) -> str:
        """Return the path of a route."""
        # Names are of strangers, and none of theirs ends a path or begins a query.
        quoted = {key: quote(value, safe="", errors="replace") for key, value in parameters.items()}
        return prefix + str(self.routes[name].url_path_for(name, **quoted))

    def static_name(self, name: str) -> str:
        """Return the name that one of the console's own files is served under."""
        return static_files()[name].name

    def render(self, template: str, request: Request, **context: Any) -> str:
        """Return a page.

        Args:
            template: Its name.
            request: Whose page it is; what its last action came to is shown.
            context: What the template shows.
        """
        found = templates().get_template(template)
        return found.render(site=self, flash=self._flash_of(request), **context)

    def last_totals(self) -> Mapping[str, int]:
        """Return how many jobs were held and had failed when that was read last."""
        tally = self.answers.get("tally").value or ()
        return {
            state: sum(each.count for each in tally if each.state == state)
            for state in (JobState.HELD, JobState.FAILED)
        }

    @staticmethod
    def tag_of(body: bytes) -> str:
        """Return what distinguishes one content from another, as an ETag."""
        return f'"{hashlib.sha256(body).hexdigest()[:24]}"'

    @staticmethod
    def flash(response: Response, message: str, *, path: str) -> None:
        """Let the next page show what an action came to."""
        text = base64.urlsafe_b64encode(message[:_MOST_FLASH_CHARS].encode(errors="replace"))
        response.set_cookie(
            *(FLASH, text.decode(), _FLASH_SECONDS),
            path=path,
            httponly=True,
            samesite="strict",
        )

    @staticmethod
    def _flash_of(request: Request) -> str:
        try:
            return base64.urlsafe_b64decode(request.cookies.get(FLASH, "")).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return ""

    @staticmethod
    def note_refused(ledger: Ledger, entry: AuditEntry, error: Exception) -> None:
        """Record in the audit that an action was refused, and why."""
        why = visible(redacted(str(error)))[:MOST_WHY_CHARS]
        refused = replace(entry, outcome="refused", detail={**entry.detail, "why": why})
        if not isinstance(error, LedgerUnavailableError):
            with suppress(FailsoftError):
                ledger.audit(refused)
        logger.info("%s of %s by %s was refused: %s", entry.action, entry.target, entry.actor, why)


#: So much of the error of a refused action is kept.
MOST_WHY_CHARS = 300
