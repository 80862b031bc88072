"""Passwords in URLs and connection strings, masked in every text that may be shown.

What a user wrote into a URL comes back in what drivers, clients and validators raise. A URL is
masked by what is known to be harmless, not by what is known to be secret: of its query only the
parameters in `HARMLESS` keep their values.

What is masked may be of strangers, and as long as they like: the time grows with its length alone.
"""

import re
from urllib.parse import unquote

#: Stands in the place of a secret.
MASK = "***"

#: Parameters of PostgreSQL, Redis, AMQP and our own whose values are no secrets.
HARMLESS = frozenset(
    {
        *("sslmode", "ssl", "channel_binding", "gssencmode", "target_session_attrs"),
        *("connect_timeout", "application_name", "options", "host", "hostaddr", "port", "user"),
        *("dbname", "load_balance_hosts", "keepalives", "keepalives_idle", "keepalives_interval"),
        *("keepalives_count", "tcp_user_timeout", "client_encoding", "pooler", "pool_size"),
        *("db", "service", "protocol", "socket_timeout", "socket_connect_timeout", "username"),
        *("health_check_interval", "max_connections", "ssl_cert_reqs", "decode_responses"),
        *("heartbeat", "connection_attempts", "channel_max", "frame_max", "retry_delay"),
        *("blocked_connection_timeout", "locale", "tcp_options", "stack_timeout", "backpressure"),
        *("vhost", "mode", "cache", "immutable", "nolock", "page", "limit", "timeout"),
    }
)

# Passwords may hold anything that is not escaped as it should be: whatever stands before the last
# "@" of a word is one. Several URLs may be separated by ";".
# Of a longer scheme only the end is looked at, or a long word would be read from each letter on.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,40}://[^\s\"'<>`]*")
#: A user with a password, in what ends with the last "@".
_USER = re.compile(r"(://[^:@/?#]*):.*@", re.DOTALL)
#: A URL that has no "@" after a password that is not escaped, as "redis://:pass#word".
_UNENDED = re.compile(r"(://[^:@/?#\[\]]*):(?!\d+(?:[/?#,;]|$))[^@]+$", re.DOTALL)
_QUERY = re.compile(r"([?&;#])([^=&;#?]*)=([^&;#]*)")
_ASSIGNED = re.compile(r"\b(\w++)\s*+=\s*+")
_SECRET = re.compile(
    r"password|passwd|passphrase|passfile|pwd|secret|token|sslkey|credential", re.IGNORECASE
)
#: One whose quote is not closed is the rest of the text.
_VALUE = re.compile(
    r"""'(?:[^'\\]|\\.)*+'? | "(?:[^"\\]|\\.)*+"? | [^\s&;,'")}\]]++""", re.VERBOSE | re.DOTALL
)


def redacted(text: str) -> str:
    """Return a text without the passwords of its URLs and connection strings."""
    if "=" not in text and "://" not in text:
        return text
    return _without_named(_URL.sub(lambda found: redacted_url(found.group()), text))


def redacted_url(url: str) -> str:
    """Return a URL without its password, and without what its query may keep secret.

    Several may be separated by `;`, as for RabbitMQ. One that cannot be read is masked all the
    same, rather too much of it than too little.
    """
    return ";".join(_redacted_one(each) for each in re.split(r";(?=[a-z+]+://)", url))


def scheme_of(text: str) -> str:
    """Return what a URL begins with, as in `mysql://`; nothing where that is no scheme."""
    found = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text)
    return found.group() if found else ""


def _redacted_one(url: str) -> str:
    if "://" not in url:
        return _without_named(url)
    place, mark, query = _split(url)
    end = place.rfind("@") + 1
    hidden = _USER.sub(rf"\1:{MASK}@", place[:end]) + place[end:]
    if hidden == place:
        hidden = _UNENDED.sub(rf"\1:{MASK}", place)
    return _without_named(hidden) + _QUERY.sub(_parameter, mark + query)


def _split(url: str) -> tuple[str, str, str]:
    """Cut a URL before its query: a mark before the last "@" belongs to the password."""
    start = url.rfind("@") + 1
    # But an "@" in the query, after a password in it, ends no password before it.
    plain = re.match(r"[^:]+://[^:@?#]*(\?|$)", url)
    if plain:
        start = 0
    place, mark, query = url[start:].partition("?")
    return url[:start] + place, mark, query


def _parameter(found: "re.Match[str]") -> str:
    mark, name, value = found.groups()
    shown = value if unquote(name).lower() in HARMLESS else MASK
    return f"{mark}{name}={shown if value else ''}"


def _without_named(text: str) -> str:
    """Mask what is assigned to a secret; what is assigned to another name is looked into."""
    parts, end = list[str](), 0
    for found in _ASSIGNED.finditer(text):
        if found.start() < end or not _SECRET.search(found.group(1)):
            continue
        value = _VALUE.match(text, found.end())
        if value is not None:
            parts += (text[end : found.end()], MASK)
            end = value.end()
    return "".join((*parts, text[end:]))
