"""What a request says of itself: options, headers, cookies, addresses, paths."""

from __future__ import annotations

from typing import Any

import pytest

from bkjs.config import CORE_PARAMS, Config
from bkjs.errors import BadRequest
from bkjs.lib.i18n import Catalogs
from bkjs.testing.vectors import Case, vectors
from bkjs.testing.web import scope_of
from bkjs.web.input.controls import CONTROLS, Controls, get_controls, request_options
from bkjs.web.parameters import PARAMS
from bkjs.web.paths import normalise
from bkjs.web.request import Request
from bkjs.web.websettings import WebSettings


def make(
    target: str = "/account/get",
    headers: dict[str, str] | None = None,
    ip: str = "1.2.3.4",
    **api: Any,
) -> Request:
    config = Config()
    config.declare("core", CORE_PARAMS)
    config.declare("api", PARAMS)
    assert config.resolve() == []
    for name, value in api.items():
        setattr(config["api"], name, value)
    settings = WebSettings(
        config["api"],
        control_params=Controls(CONTROLS),
        catalogs=Catalogs(),
        is_api=lambda path, method: True,
        is_navigable=lambda path, method: False,
        developing=False,
        read_controls=get_controls,
    )
    scope = scope_of(target, "GET", {"host": "h.com:8000"} | (headers or {}), ip=ip)
    return Request(None, settings, scope, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("case", vectors("api-prepare-request"))
def test_options_of_a_request(case: Case) -> None:
    query = "&".join(f"{name}={value}" for name, value in case["query"].items())
    req = make(f"/account/get?{query}", case["headers"])
    req.mtime = case.file["now"]

    assert request_options(req) == case.wanted("options")


def test_credentials_leave_the_parameters() -> None:
    req = make("/x?a=1&bk-signature=s&bk-access-token=t")

    assert req.credentials == {"bk-signature": "s", "bk-access-token": "t"}
    assert req.query == {"a": "1"}
    assert req.raw_query == "a=1&bk-signature=s&bk-access-token=t"


def test_credentials_can_be_asked_for_first_or_last() -> None:
    req = make("/x?bk-signature=s")

    assert req.query == {}
    assert req.credentials == {"bk-signature": "s"}


def test_headers_are_found_in_any_case() -> None:
    req = make(headers={"x-one": "1"})

    assert (req.header("X-One"), req.header("x-two")) == ("1", "")


def test_of_two_cookies_of_a_name_the_first_counts() -> None:
    req = make(headers={"cookie": 'a=1; b="2"; a=3; broken'})

    assert req.cookies == {"a": "1", "b": "2"}


def test_headers_that_come_twice_are_joined_as_their_kind_is() -> None:
    scope = scope_of("/", "GET", {})
    scope["headers"] = [(b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"x", b"1"), (b"x", b"2")]
    req = Request(None, make().settings, scope, None)  # type: ignore[arg-type]

    assert req.cookies == {"a": "1", "b": "2"}
    assert req.headers == {"cookie": "a=1; b=2", "x": "1, 2"}


def test_an_unknown_attribute_is_an_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        getattr(make(), "nonsense")  # noqa: B009 - a plain access would not pass the type checker


@pytest.mark.parametrize("host", ["h.com", "h.com:80", "H.COM:80"])
def test_the_host_is_in_lower_case_without_port(host: str) -> None:
    assert make(headers={"host": host}).host == "h.com"


def test_an_ipv6_host_keeps_its_brackets() -> None:
    assert make(headers={"host": "[::1]:80"}).host == "[::1]"


def test_mapped_addresses_are_plain_ipv4() -> None:
    assert make(ip="::ffff:1.2.3.4").ip == "1.2.3.4"


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("trusted-proxies", "10.0.0.256", "10.0.0.0/8"),
        ("trusted-proxies", "proxy.com", "::1"),
        ("cors-origin", "a.com", "https://a.com"),
        ("cors-origin", "https://a.com/", "*"),
    ],
)
def test_settings_that_could_never_match_are_refused(name: str, wrong: str, right: str) -> None:
    (param,) = (param for param in PARAMS if param.name == name)
    assert param.check is not None
    assert param.check(wrong)
    assert not param.check(right)


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("9.9.9.9", "1.1.1.1", "9.9.9.9"),
        ("10.0.0.1", "1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "1.1.1.1, 10.0.0.2", "1.1.1.1"),
        ("10.0.0.1", "1.1.1.1, junk", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1:5678", "1.1.1.1"),
        ("10.0.0.1", "6.6.6.6:1, 1.1.1.1:5678, 10.0.0.2:443", "1.1.1.1"),
        ("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
        ("10.0.0.1", "[2001:db8::1]", "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "1.1.1.1:5678:9", "10.0.0.1"),
        ("10.0.0.1", "[]:1", "10.0.0.1"),
        ("10.0.0.1", ":80", "10.0.0.1"),
        ("::ffff:10.0.0.1", "1.1.1.1", "1.1.1.1"),
    ],
)
def test_only_trusted_proxies_name_the_client(peer: str, forwarded: str, expected: str) -> None:
    sent = {"x-forwarded-for": forwarded, "x-forwarded-proto": "https"}
    req = make(headers=sent, ip=peer, trusted_proxies=("10.0.0.0/8",))

    assert req.ip == expected
    assert req.settings.proxies.trusts(peer) is not peer.startswith("9")
    assert req.secure == peer.endswith("10.0.0.1")


@pytest.mark.parametrize(
    ("name", "value"), [("a b", "1"), ("a", "1;2"), ("a", "1\r\nset-cookie: x"), ("", "1")]
)
def test_a_cookie_cannot_break_out_of_its_header(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="cookie"):
        make().set_cookie(name, value)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"/", "/"),
        (b"/a/b.c", "/a/b.c"),
        (b"/a/", "/a/"),
        (b"//a///b", "/a/b"),
        (b"/%61%2Fb", "/a/b"),
        ("/ä".encode(), "/ä"),
        (b"/%C3%A4", "/ä"),
        (b"/.well-known/x", "/.well-known/x"),
        (b"/a..b/...", "/a..b/..."),
    ],
)
def test_a_path_has_one_form(raw: bytes, path: str) -> None:
    assert normalise(raw) == path


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"a", b"*", b"/..", b"/../x", b"/a/../b", b"/a/./b", b"/%2e%2e/x", b"/..%2fx",
        b"/a/..;/b", b"/a\\b", b"/a%5cb", b"/%00", b"/a%0a", b"/%", b"/%4", b"/%zz", b"/%ff",
        b"/%c0%ae%c0%ae/x", b"/\xff", b"/a/%2e", b"/.;x/y", b"/%7f",
    ],
)  # fmt: skip
def test_a_path_without_a_form_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        normalise(raw)


def test_a_long_path_is_read_in_linear_time() -> None:
    assert normalise(b"/a" * 4000 + b"/%61") == "/a" * 4001
