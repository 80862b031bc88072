"""Whether a request that changes something comes from a page of the console.

No token is kept, so none goes stale behind a balancer: browsers say where a request comes from.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

#: Methods that change nothing.
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def is_same_origin(headers: Mapping[str, str]) -> bool:
    """Return whether the headers of an unsafe request say that the console's page sent it.

    `Sec-Fetch-Site` decides where it is there; browsers set it, and no page can. Without it,
    `Origin` must name the host that was asked.
    """
    if (site := headers.get("sec-fetch-site")) is not None:
        return site == "same-origin"
    origin, host = headers.get("origin"), headers.get("host")
    return bool(origin and host) and urlsplit(origin).netloc == host
