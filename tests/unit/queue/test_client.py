"""`shared_client`: what a URL says is obeyed, and what it does not say has a bound."""

from typing import Any

import pytest
import redis

from failsoft.job_engine.errors import ConfigurationError
from failsoft.queue import shared_client
from failsoft.queue.redis_checks import server_of

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


@pytest.mark.parametrize("url", ["redis://host:1/2?", SENTINELS + "&"])
def test_connections_do_not_look_the_version_of_their_library_up(url: str) -> None:
    pytest.importorskip("redis.driver_info", reason="redis-py before 7 has no place for it")

    assert connection_options(url)["driver_info"].lib_version == redis.__version__


@pytest.mark.parametrize("url", ["redis://host:1/2?", SENTINELS + "&"])
# redis-py wants another argument for it, for which a URL has no word.
@pytest.mark.filterwarnings("ignore:.*lib_name.*:DeprecationWarning")
def test_a_url_may_name_another_library(url: str) -> None:
    options = connection_options(f"{url}lib_name=shop")

    assert options["lib_name"] == "shop"
    assert "driver_info" not in options


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


def test_sentinels_have_a_login_and_tls_of_their_own() -> None:
    own = "sentinel_username=watch&sentinel_password=s%26cret&sentinel_ssl=true"
    url = f"rediss+sentinel://app:pw@a/0?service=main&ssl_cert_reqs=none&{own}"

    pool: Any = shared_client(url, "tests").connection_pool

    sentinel = pool.sentinel_manager.sentinels[0].connection_pool
    options = sentinel.connection_kwargs
    assert (options["username"], options["password"]) == ("watch", "s&cret")
    assert "SSL" in sentinel.connection_class.__name__
    assert options["ssl_cert_reqs"] == "none"
    assert (pool.connection_kwargs["username"], pool.connection_kwargs["password"]) == ("app", "pw")


def test_sentinels_are_spoken_to_plainly_unless_the_url_says_otherwise() -> None:
    pool: Any = shared_client("rediss+sentinel://a/0?service=main", "tests").connection_pool

    sentinel = pool.sentinel_manager.sentinels[0].connection_pool
    assert "SSL" not in sentinel.connection_class.__name__
    assert (
        "password" not in sentinel.connection_kwargs or not sentinel.connection_kwargs["password"]
    )


def test_two_services_of_sentinels_are_two_servers() -> None:
    one, other = (f"redis+sentinel://a,b/0?service={name}" for name in ("one", "other"))

    assert server_of(one) == server_of("redis+sentinel://b,a/3?service=one")
    assert server_of(one) != server_of(other)
    assert server_of(one) != server_of("redis+sentinel://c/0?service=one")


@pytest.mark.parametrize("url", ["redis://:pw@host/0?", SENTINELS + "&"])
def test_text_instead_of_bytes_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="without decode_responses") as caught:
        shared_client(f"{url}decode_responses=true", "tests")

    assert "pw" not in str(caught.value)
    assert "ss%2Fword" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://a/0",
        "redis+sentinel://a,,b/0?service=x",
        "redis://h/0?nosuch=1",
        "redis+sentinel://a/0?service=x&sentinel_ssl=maybe",
    ],
)
def test_a_url_that_cannot_be_read_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="expected a Redis URL like"):
        shared_client(url, "tests")
