"""Who may use the console."""

import os
import secrets

from starlette.requests import Request

from failsoft.console import Actor


def staff_only(request: Request) -> Actor | None:
    """Return the operator whose token a request has; None refuses it.

    The token is `SHOP_STAFF_TOKEN`; without one, nobody may. A real shop would look at its session.
    """
    token = os.environ.get("SHOP_STAFF_TOKEN", "")
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not token or not secrets.compare_digest(given.encode(), token.encode()):
        return None
    return Actor.of("staff", "operator", by_token=True)
