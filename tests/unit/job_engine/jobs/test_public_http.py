from collections.abc import Sequence

import httpx
import pytest

from failsoft.job_engine.jobs.public_http import (
    MAX_ADDRESSES,
    ForbiddenAddressError,
    PublicTransport,
    is_public,
)

PUBLIC = "93.184.216.34"


class Wire:
    """Takes requests where the network would; refuses connections to some addresses."""

    def __init__(self, *dead: str) -> None:
        self.requests: list[httpx.Request] = []
        self._dead = dead

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.host in self._dead:
            raise httpx.ConnectError("refused")
        return httpx.Response(200)


class NameServer:
    """Gives the answers in turn, and the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.looked_up: list[tuple[str, int]] = []
        self._answers = list(answers)

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.looked_up.append((host, port))
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def client(wire: Wire, names: NameServer, *, allow_private: bool = False) -> httpx.Client:
    inner = httpx.MockTransport(wire)
    return httpx.Client(
        transport=PublicTransport(allow_private=allow_private, resolver=names, inner=inner)
    )


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "2606:4700::1111", "64:ff9b::101:101"])
def test_an_address_of_the_open_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",  # noqa: S104 - refused here, not bound
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "192.0.0.9",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::7f00:1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%2",
        "fec0::1",
        "ff02::1",
    ],
)
def test_an_address_of_a_private_network_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:10.0.0.1", "169.254.169.254"])
def test_a_name_that_leads_to_a_private_address_is_refused_unsent(address: str) -> None:
    wire = Wire()

    with pytest.raises(ForbiddenAddressError, match=r"hooks\.example\.com"):
        client(wire, NameServer([address])).get("http://hooks.example.com/")

    assert wire.requests == []


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    wire = Wire()

    with pytest.raises(ForbiddenAddressError):
        client(wire, NameServer([PUBLIC, "10.0.0.1"])).get("http://hooks.example.com/")

    assert wire.requests == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f.1", "127.1", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_a_private_address_is_refused_however_it_is_written(host: str) -> None:
    wire = Wire()
    transport = PublicTransport(inner=httpx.MockTransport(wire))

    with pytest.raises(ForbiddenAddressError):
        httpx.Client(transport=transport).get(f"http://{host}/")

    assert wire.requests == []


def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    wire, names = Wire(), NameServer([PUBLIC])

    client(wire, names).post("https://hooks.example.com:8443/a?b=1", content=b"x")

    [sent] = wire.requests
    assert str(sent.url) == f"https://{PUBLIC}:8443/a?b=1"
    assert sent.headers["host"] == "hooks.example.com:8443"
    assert sent.extensions["sni_hostname"] == "hooks.example.com"
    assert sent.read() == b"x"
    assert names.looked_up == [("hooks.example.com", 8443)]


def test_a_name_server_that_changes_its_answer_is_not_looked_up_again() -> None:
    wire, names = Wire(), NameServer([PUBLIC], ["127.0.0.1"])

    client(wire, names).get("http://hooks.example.com/")

    assert [request.url.host for request in wire.requests] == [PUBLIC]
    assert len(names.looked_up) == 1


def test_a_redirect_is_checked_like_the_first_request() -> None:
    names = NameServer([PUBLIC], ["169.254.169.254"])
    sent = []

    def redirecting(request: httpx.Request) -> httpx.Response:
        sent.append(request.url.host)
        return httpx.Response(302, headers={"location": "http://metadata.example.com/"})

    transport = PublicTransport(resolver=names, inner=httpx.MockTransport(redirecting))
    with pytest.raises(ForbiddenAddressError):
        httpx.Client(transport=transport, follow_redirects=True).get("http://hooks.example.com/")

    assert sent == [PUBLIC]


def test_the_next_address_is_tried_where_one_takes_no_connection() -> None:
    wire = Wire(PUBLIC)

    response = client(wire, NameServer([PUBLIC, "1.1.1.1"])).get("http://hooks.example.com/")

    assert response.status_code == 200
    assert [request.url.host for request in wire.requests] == [PUBLIC, "1.1.1.1"]


def test_a_host_with_many_dead_addresses_is_given_up_soon() -> None:
    addresses = [f"1.1.1.{n}" for n in range(1, 20)]
    wire = Wire(*addresses)

    with pytest.raises(httpx.ConnectError):
        client(wire, NameServer(addresses)).get("http://hooks.example.com/")

    assert len(wire.requests) == MAX_ADDRESSES


def test_an_unknown_name_is_a_connection_error() -> None:
    def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    transport = PublicTransport(resolver=unknown, inner=httpx.MockTransport(Wire()))
    with pytest.raises(httpx.ConnectError, match="no such name"):
        httpx.Client(transport=transport).get("http://hooks.example.com/")


def test_a_private_address_is_taken_where_the_operator_allows_it() -> None:
    wire = Wire()

    client(wire, NameServer(["10.0.0.1"]), allow_private=True).get("http://hooks.example.com/")

    assert [request.url.host for request in wire.requests] == ["10.0.0.1"]


def test_the_transport_loads_nothing_before_its_first_request() -> None:
    transport = PublicTransport()

    assert "_inner" not in vars(transport)
