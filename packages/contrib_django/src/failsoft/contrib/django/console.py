"""The console below a route of Django's: for members of the staff, by their permissions."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from io import BytesIO
from typing import Any

from django.http import HttpRequest, HttpResponse
from starlette.requests import Request

from failsoft.console import Actor, Permission, console_wsgi

#: What each of Django's permissions lets its holder do in the console.
ACCESS = {
    "failsoft.view_job": {Permission.VIEW},
    "failsoft.act_job": {
        *(Permission.ACT, Permission.BULK, Permission.PAUSE, Permission.RESOLVE),
    },
    "failsoft.view_payload": {Permission.PAYLOAD},
}
#: Under what a request of Django's goes through WSGI.
_USER = "failsoft.django.user"

Environ = dict[str, Any]


def console(request: HttpRequest, path: str = "") -> HttpResponse:
    """Answer with a page of the console.

    Args:
        request: The request, with its user.
        path: What of its path is the console's.
    """
    answer = _Answer()
    # Whole: its pages are small, and none goes on for ever where they cannot be sent news.
    body = b"".join(_application()(_environ(request, path), answer.start))
    response = HttpResponse(body, status=answer.status, reason=answer.reason)
    del response["Content-Type"]
    for name, value in answer.headers:
        if name.lower() != "transfer-encoding":
            response[name] = value
    return response


def actor_of(user: Any) -> Actor | None:
    """Return whom the console lets in for a user of Django's; None for nobody."""
    if not (user is not None and user.is_active and user.is_staff):
        return None
    access = {each for name, given in ACCESS.items() if user.has_perm(name) for each in given}
    if user.is_superuser:
        access |= {Permission.DISPATCH}
    if Permission.VIEW not in access:
        return None
    role = "admin" if user.is_superuser else "staff"
    return Actor(str(user.get_username())[:80], role, frozenset(access))


class _Answer:
    """What a WSGI application begins its answer with."""

    def __init__(self) -> None:
        self.status = 500
        self.reason = ""
        self.headers: Sequence[tuple[str, str]] = ()

    def start(
        self, status: str, headers: Sequence[tuple[str, str]], exc_info: object = None
    ) -> Callable[[bytes], object]:
        code, _, self.reason = status.partition(" ")
        self.status, self.headers = int(code), headers
        return BytesIO().write


@cache
def _application() -> Callable[[Environ, Callable[..., Any]], Iterable[bytes]]:
    return console_wsgi(authenticate=_authenticate)


def _authenticate(request: Request) -> Actor | None:
    environ: Environ = request.scope["wsgi_environ"]
    found: Actor | None = environ[_USER]
    return found


def _environ(request: HttpRequest, path: str) -> Environ:
    whole = request.path_info
    root = request.META.get("SCRIPT_NAME", "") + whole[: len(whole) - len(path)].rstrip("/")
    body = request.body
    # Under ASGI, too, Django has the request's variables as WSGI names them.
    given = {name: value for name, value in request.META.items() if isinstance(value, str)}
    return {
        **given,
        "SCRIPT_NAME": root.encode().decode("latin1"),
        "PATH_INFO": f"/{path}".encode().decode("latin1"),
        "REQUEST_METHOD": request.method,
        "SERVER_NAME": given.get("SERVER_NAME", "localhost"),
        "SERVER_PORT": given.get("SERVER_PORT", "80"),
        "SERVER_PROTOCOL": given.get("SERVER_PROTOCOL", "HTTP/1.1"),
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": BytesIO(body),
        "wsgi.url_scheme": request.scheme,
        _USER: actor_of(getattr(request, "user", None)),
    }
