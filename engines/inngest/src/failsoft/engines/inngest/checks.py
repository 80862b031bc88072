"""Is Inngest fit to carry offers?"""

from collections.abc import Iterator
from http import HTTPStatus

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
    unreachable,
    warning,
)
from failsoft.engines.inngest.adapter import InngestEngine
from failsoft.engines.inngest.client import Client
from failsoft.engines.inngest.settings import InngestSettings


def look_at_inngest(site: EngineSite[InngestSettings]) -> Iterator[Finding]:
    """Look at the server, the keys, and the address of the workers; post an event."""
    client = Client(site.settings)
    try:
        error = client.is_answering(site.answer_within.total_seconds())
        if error is not None:
            remedy = f"start Inngest, or correct {site.variables['url']}"
            yield unreachable(site.name, f"{site.settings.url}: {error}", remedy)
            return
        yield fine(site.name, f"{site.settings.event_url or site.settings.url} answers")
        yield from _keys(site)
        if site.settings.serve_url:
            yield _address(site, client)
        yield _write(site)
    finally:
        client.close()


def _keys(site: EngineSite[InngestSettings]) -> Iterator[Finding]:
    check, settings = f"{site.name} keys", site.settings
    if settings.is_dev:
        yield fine(check, "dev mode: calls are not signed, on this machine alone")
    elif not settings.signing_keys:
        remedy = f"set {site.variables['signing_key']}; a program that only dispatches needs none"
        yield warning(check, "no signing key: no worker starts with these settings", remedy)
    else:
        yield fine(check, "event key and signing key")
    addresses = (settings.url, settings.event_url, settings.serve_url)
    plain = [each for each in addresses if each.startswith("http://")]
    if not settings.is_local and plain:
        yield warning(f"{site.name} TLS", f"no TLS towards {', '.join(plain)}", "use https://")


def _address(site: EngineSite[InngestSettings], client: Client) -> Finding:
    check, url = f"{site.name} workers", f"{site.settings.serve_url}/{DEFAULT.name}"
    remedy = f"start: failsoft worker {site.name}; or correct {site.variables['serve_url']}"
    try:
        answer = client.send("GET", url, timeout=site.answer_within.total_seconds())
    except EngineError as error:
        return warning(check, f"{url}: {error}", remedy)
    if answer.status != HTTPStatus.OK or b"function_count" not in answer.body:
        return warning(check, f"{url} answers {answer.status}, and is no worker", remedy)
    return fine(check, f"a worker answers at {url}")


def _write(site: EngineSite[InngestSettings]) -> Finding:
    adapter = InngestEngine(site)

    def probe() -> EngineHealth:
        return adapter.probe(DEFAULT, Deadline.after(SystemClock(), site.answer_within))

    health = probed_twice(probe)
    adapter.close()
    if health.healthy:
        return fine(f"{site.name} write", health.detail)
    remedy = f"compare {site.variables['event_key']} with the keys of Inngest's environment"
    return failure(f"{site.name} write", health.detail, remedy)
