"""What is no screen: files, health, login, logout."""

from starlette.responses import PlainTextResponse, RedirectResponse, Response

from failsoft.console.call import Call
from failsoft.console.refusal import RefusedError
from failsoft.console.static_files import CACHE_CONTROL, by_served_name


def static(call: Call) -> Response:
    """`GET /static/{name}`."""
    found = by_served_name().get(call.path["name"])
    if found is None:
        raise RefusedError(404, "expected one of the console's files, got another name")
    return Response(
        found.content, media_type=found.media_type, headers={"Cache-Control": CACHE_CONTROL}
    )


def robots(call: Call) -> Response:
    """`GET /robots.txt`."""
    return PlainTextResponse("User-agent: *\nDisallow: /\n")


def healthz(call: Call) -> Response:
    """`GET /healthz`: that the process serves; nothing of the ledger."""
    return PlainTextResponse("ok\n")


def login(call: Call) -> Response:
    """`GET /login`: the browser has sent a login by now."""
    return RedirectResponse(call.url("overview"), 303)


def logout(call: Call) -> Response:
    """`POST /logout`: let the browser forget the login."""
    raise RefusedError(
        401,
        "you are logged out; close the window, or log in again",
        {"WWW-Authenticate": 'Basic realm="Failsoft", charset="UTF-8"'},
    )
