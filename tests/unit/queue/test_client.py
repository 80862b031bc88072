"""`shared_client`: what a URL says is obeyed, and what it does not say has a bound."""

from typing import Any

import pytest

from failsoft.job_engine.errors import ConfigurationError
from failsoft.queue import shared_client

SENTINELS = "redis+sentinel://app:p%40ss%2Fword@a:26379,b/3?service=main"


def connection_options(url: str) -> Any:
    return shared_client(url, "tests").connection_pool.connection_kwargs


@pytest.mark.parametrize("url", ["redis://:p%40ss@host:1/2", "rediss://:p%40ss@host:1/2"])
def test_a_url_that_says_nothing_of_time_gets_bounds(url: str) -> None:
    options = connection_options(url)

    assert (options["password"], options["db"]) == ("p@ss", 2)
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (1.0, 1.0)


@pytest.mark.parametrize("url", ["redis://host:1/2?", SENTINELS + "&"])
def test_what_a_url_says_is_obeyed(url: str) -> None:
    options = connection_options(f"{url}socket_timeout=7&health_check_interval=9&client_name=shop")

    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (7.0, 1.0)
    assert (options["health_check_interval"], options["client_name"]) == (9, "shop")


def test_user_password_and_database_of_a_sentinel_url_are_the_servers() -> None:
    pool: Any = shared_client(SENTINELS, "tests").connection_pool

    options = pool.connection_kwargs
    assert (options["username"], options["password"], options["db"]) == ("app", "p@ss/word", 3)
    assert pool.service_name == "main"
    places = [each.connection_pool.connection_kwargs for each in pool.sentinel_manager.sentinels]
    assert [(each["host"], each["port"]) for each in places] == [("a", 26379), ("b", 26379)]


def test_sentinels_of_a_server_with_tls_lead_to_connections_with_tls() -> None:
    url = "rediss+sentinel://a/0?service=main&ssl_cert_reqs=none"

    pool = shared_client(url, "tests").connection_pool

    assert "SSL" in pool.connection_class.__name__
    assert pool.connection_kwargs["ssl_cert_reqs"] == "none"


@pytest.mark.parametrize("url", ["redis://:pw@host/0?", SENTINELS + "&"])
def test_text_instead_of_bytes_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="without decode_responses") as caught:
        shared_client(f"{url}decode_responses=true", "tests")

    assert "pw" not in str(caught.value)
    assert "ss%2Fword" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["redis+sentinel://a/0", "redis+sentinel://a,,b/0?service=x", "redis://h/0?nosuch=1"]
)
def test_a_url_that_cannot_be_read_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="expected a Redis URL like"):
        shared_client(url, "tests")
