"""Is NATS fit to carry offers?"""

from collections.abc import Iterator
from urllib.parse import urlsplit

from failsoft.engine_api import (
    DEFAULT,
    Deadline,
    EngineError,
    EngineHealth,
    EngineSite,
    Finding,
    SystemClock,
    failure,
    fine,
    probed_twice,
    redacted_url,
    unreachable,
    warning,
)
from failsoft.engines.nats import streams
from failsoft.engines.nats.adapter import NatsEngine
from failsoft.engines.nats.connection import SharedConnection
from failsoft.engines.nats.settings import NatsSettings
from nats.aio.client import Client
from nats.js.api import StreamInfo
from nats.js.errors import NotFoundError


def look_at_nats(site: EngineSite[NatsSettings]) -> Iterator[Finding]:
    """Look at the server, the login, and the stream of the default queue; write to it."""
    connection = SharedConnection(site.settings.client)
    try:
        yield from _look(site, connection)
    finally:
        connection.close()


def _look(site: EngineSite[NatsSettings], connection: SharedConnection) -> Iterator[Finding]:
    try:
        version = connection.call(_version, _deadline(site))
    except EngineError as error:
        remedy = f"start NATS, or correct {site.variables['servers']}"
        yield unreachable(site.name, f"{_shown(site)}: {error}", remedy)
        return
    yield fine(site.name, f"NATS {version}, {_shown(site)}")
    yield from _login(site)
    stream, seconds = site.queue_name(DEFAULT), site.answer_within.total_seconds()
    remedy = f"run: failsoft engines prepare {site.name}"
    try:
        found = connection.call(lambda client: _stream(client, stream, seconds), _deadline(site))
    except EngineError as error:
        yield failure(f"{site.name} stream", f"{stream}: {error}", "start the server with -js")
        return
    if found is None:
        yield failure(f"{site.name} stream", str(streams.missing(stream, site.name)), remedy)
        return
    yield _replicas(site, found)
    yield _write(site)


async def _version(client: Client) -> str:
    return str(client.connected_server_version)


async def _stream(client: Client, name: str, within: float) -> StreamInfo | None:
    try:
        return await client.jetstream(timeout=within).stream_info(name)
    except NotFoundError:
        return None


def _login(site: EngineSite[NatsSettings]) -> Iterator[Finding]:
    settings = site.settings
    if settings.is_local:
        return
    urls = [urlsplit(each) for each in settings.addresses]
    plain = settings.tls_ca is None and any(each.scheme != "tls" for each in urls)
    is_open = not any(
        (settings.user, settings.token.get_secret_value(), settings.credentials, settings.nkey)
    ) and not any(each.username for each in urls)
    words = [word for word, there in (("no login", is_open), ("no TLS", plain)) if there]
    if words:
        remedy = f"use tls:// in {site.variables['servers']}, and a user of its own"
        yield warning(f"{site.name} login", f"{' and '.join(words)} towards {_shown(site)}", remedy)
    else:
        yield fine(f"{site.name} login", "with a login and TLS")


def _replicas(site: EngineSite[NatsSettings], found: StreamInfo) -> Finding:
    check, replicas = f"{site.name} replicas", found.config.num_replicas or 1
    text = f"{found.config.name} has {replicas} replicas"
    if replicas > 1:
        return fine(check, text)
    remedy = (
        "works; with 3 no acknowledged offer is lost with a server, and without them it is made "
        "again after its pickup deadline"
    )
    return warning(check, text, remedy)


def _write(site: EngineSite[NatsSettings]) -> Finding:
    adapter = NatsEngine(site)

    def probe() -> EngineHealth:
        return adapter.probe(DEFAULT, _deadline(site))

    health = probed_twice(probe)
    adapter.close()
    if health.healthy:
        return fine(f"{site.name} write", health.detail)
    return failure(f"{site.name} write", health.detail, "look at the servers' logs and disks")


def _shown(site: EngineSite[NatsSettings]) -> str:
    return ",".join(map(redacted_url, site.settings.addresses))


def _deadline(site: EngineSite[NatsSettings]) -> Deadline:
    return Deadline.after(SystemClock(), site.answer_within)
