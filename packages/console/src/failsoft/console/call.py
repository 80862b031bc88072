"""One request as a handler sees it, and the answers that it may give."""

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from failsoft.console.access.roles import Actor, Permission
from failsoft.console.environment import Ledger
from failsoft.console.panels import Panel, Panels
from failsoft.console.site import FLASH, Site
from failsoft.console.views.plain import plain
from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.ports.console import AuditEntry

T = TypeVar("T")

#: The longest reason that an action takes.
MAX_REASON_CHARS = 500
#: The longest address of a page that an action returns to.
MAX_BACK_CHARS = 20_000


@dataclass(slots=True)
class Call:
    """A request that was let in.

    Attributes:
        site: The console.
        request: The request.
        actor: Whose it is.
        prefix: What every path of the console begins with: where it is mounted.
        body: The fields of a form or of a JSON object, each with its values.
        panels: What the page is made of.
    """

    site: Site
    request: Request
    actor: Actor
    prefix: str
    body: Mapping[str, Sequence[str]] = field(default_factory=dict)
    panels: Panels = field(init=False)

    def __post_init__(self) -> None:
        """Begin with no panel."""
        self.panels = Panels(self.site.answers)

    @property
    def ledger(self) -> Ledger:
        """The ledger, or what a page is read from; raises `LedgerUnavailableError` where away."""
        environment = self.site.environment
        # Whoever has acted sees what came of it, which a replica may not have yet.
        is_read = self.request.method == "GET" and not self.site.has_just_acted
        return environment.reading() if is_read else environment.ledger()

    def panel(self, key: Hashable, read: Callable[[Ledger], T]) -> Panel[T]:
        """Return what a panel shows; see `Panels.read`."""
        return self.panels.read(key, lambda: read(self.ledger))

    @property
    def path(self) -> Mapping[str, str]:
        """The parameters of the path."""
        return self.request.path_params

    @property
    def is_fragment(self) -> bool:
        """Whether only the changing part of a page is wanted."""
        return self.request.headers.get("hx-request") == "true"

    @property
    def is_api(self) -> bool:
        """Whether JSON is wanted."""
        return bool(self.request.scope.get("failsoft.api"))

    def may(self, permission: Permission | str) -> bool:
        """Return whether the actor has a permission; templates call it with its name."""
        return self.actor.may(Permission(permission))

    def url(self, name: str, /, **parameters: str) -> str:
        """Return the path of a route, in the place where the console is mounted."""
        return self.site.url(self.prefix, name, **parameters)

    def here(self) -> str:
        """Return the path and query of the page that is shown, in the place of the console."""
        if self.request.method != "GET":
            return self.url("overview")
        mounted, path = self.request.scope.get("root_path", ""), self.request.scope["path"]
        path = self.prefix + path.removeprefix(mounted)
        return f"{path}?{self.request.url.query}" if self.request.url.query else path

    def static(self, name: str) -> str:
        """Return the path of one of the console's own files."""
        return self.url("static", name=self.site.static_name(name))

    def text(self, name: str, *, most: int = MAX_REASON_CHARS, default: str = "") -> str:
        """Return a field of the body.

        Raises:
            OptionInvalidError: It is too long.
        """
        value = (self.body.get(name) or [default])[-1]
        if len(value) > most:
            raise OptionInvalidError(
                f"expected {name} of at most {most} characters, got {len(value)}"
            )
        return value.strip()

    def entry(self, action: str, kind: str, target: str, **detail: Any) -> AuditEntry:
        """Return the entry of the audit for what the request does."""
        address = self.request.client.host if self.request.client else "?"
        way = "api" if self.is_api else "console"
        return AuditEntry(
            id=uuid4().hex,
            actor=self.actor.name,
            source=f"{way} {address}"[:80],
            action=action,
            target_kind=kind,
            target=target,
            reason=self.text("reason"),
            detail=detail,
        )

    @property
    def named(self) -> str:
        """The actor as the histories of jobs name them."""
        return f"{self.actor.name} ({'api' if self.is_api else 'console'})"

    def act(self, entry: AuditEntry, action: Callable[[], Any]) -> Any:
        """Carry an action out, with its entry in the audit; return what it returns.

        One that is refused is in the audit as well.
        """
        ledger = self.ledger
        self.site.note_action()
        try:
            with ledger.acting(entry):
                return action()
        except Exception as error:
            self.site.note_refused(ledger, entry, error)
            raise

    def page(self, template: str, status: int = 200, **context: Any) -> Response:
        """Return a page, or the changing part of it; 503 where a panel could not be read."""
        headers = {}
        if self.panels.is_away and status == 200:  # noqa: PLR2004 - the status of a page that is well
            status, headers = 503, {"Retry-After": "2"}
        layout = "fragment.html" if self.is_fragment else "layout.html"
        html = self.site.render(template, self.request, call=self, layout=layout, **context)
        response = HTMLResponse(html, status, headers)
        if self.is_fragment:
            return self._tagged(response)
        if FLASH in self.request.cookies:
            # It is shown now. A part of a page shows none, and leaves it to the page that follows.
            response.delete_cookie(FLASH, path=self.prefix or "/")
        return response

    def json(self, value: Any, status: int = 200) -> Response:
        """Return a value as JSON."""
        text = json.dumps(plain(value), ensure_ascii=True, separators=(",", ":"))
        return Response(text, status, media_type="application/json")

    def done(self, message: str, back: str) -> Response:
        """Return to a page after an action, with what it came to; as JSON to a program."""
        if self.is_api:
            return self.json({"done": message})
        response = RedirectResponse(self._back(back), 303)
        self.site.flash(response, message, path=self.prefix or "/")
        return response

    def _back(self, default: str) -> str:
        """Return the page that the form was on, if it is one of the console's."""
        # The action is done by now: what cannot be a page is left out, not refused.
        given = (self.body.get("back") or [""])[-1]
        is_ours = (
            len(given) <= MAX_BACK_CHARS
            and given.startswith(f"{self.prefix}/")
            and not given.startswith("//")
        )
        return given if is_ours and given.isprintable() and "\\" not in given else default

    def _tagged(self, response: Response) -> Response:
        """Let a fragment that has not changed be answered without it."""
        tag = self.site.tag_of(bytes(response.body))
        if self.request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        response.headers["ETag"] = tag
        return response
