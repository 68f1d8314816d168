"""The chain of a request: order, refusals, registrations, what every answer has."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi import Request as FastAPIRequest

from bkjs.auth.signature import sign
from bkjs.config.parse import parse_argv
from bkjs.errors import AlreadyExists, StartError, Timeout
from bkjs.lib.bounded import LONGEST_KEY
from bkjs.web.deadlines import Deadlines
from bkjs.web.endpoints.routes import Routes
from bkjs.web.input.params import Params
from bkjs.web.request import Request
from bkjs.web.response import Response
from bkjs.web.server import overload as overloads
from bkjs.web.server import serve as server
from bkjs.web.server.overload import Overload

from ..harness import add_account

routes = Routes()


@routes.endpoint("/open", public=True, reply=dict)
async def open_(req: Request) -> Any:
    return {"path": req.path, "query": req.query, "account": req.account}


@routes.endpoint("/closed", reply=dict)
async def closed(req: Request) -> Any:
    return {"login": req.account.get("login")}


class Named(Params):
    id: int
    name: str = ""


@routes.endpoint("/named/{id}", params=Named, public=True, reply=dict)
def named(req: Request, params: Named) -> Any:
    return params


@routes.endpoint("/posted", methods="POST", public=True, reply=dict)
async def posted(req: Request) -> Any:
    return {}


@routes.endpoint("/away/{name}", methods="POST", reply=dict)
async def away(req: Request) -> Any:
    return {}


@routes.endpoint("/write", writes=True, reply=dict)
async def write(req: Request) -> Any:
    return {}


@routes.endpoint("/fails", public=True, reply=dict)
async def fails(req: Request) -> Any:
    if "own" in req.query:
        raise AlreadyExists(hint="x")
    raise ValueError("secret detail")


@routes.endpoint("/file.png", reply=dict)
async def picture(req: Request) -> Any:
    raise AssertionError("opened by a rule for static files")


async def test_a_public_endpoint_needs_no_account(site: Any) -> None:
    async with site(routes) as s:
        reply = await s.ask("/open?a=1")

    assert (reply.status, reply.json()) == (
        200,
        {"path": "/open", "query": {"a": "1"}, "account": {}},
    )


async def test_strangers_are_told_to_log_in_whether_the_path_exists_or_not(site: Any) -> None:
    async with site(routes, "-run-mode", "production") as s:
        for path in ("/closed", "/nothing", "/account/nothing"):
            assert (await s.ask(path)).json() == {"status": 417, "message": "No login provided"}


async def test_a_signed_request_is_its_account_s(site: Any) -> None:
    async with site(routes) as s:
        await add_account(s.app, "u")

        assert (await s.ask("/closed", login="u")).json() == {"login": "u"}
        assert (await s.ask("/closed", login="u", secret="x")).status == 401
        assert (await s.ask("/nothing", login="u")).status == 404


async def test_a_rule_for_static_files_opens_no_endpoint(site: Any) -> None:
    async with site(routes) as s:
        assert (await s.ask("/file.png")).status == 417
        assert (await s.ask("/other.png")).status == 404


async def test_path_parameters_are_checked_with_the_others(site: Any) -> None:
    async with site(routes) as s:
        assert (await s.ask("/named/7?name=x&id=8")).json() == {"id": 7, "name": "x"}
        assert (await s.ask("/named/x")).json()["field"] == "id"


async def test_other_methods_of_a_path_are_not_allowed(site: Any) -> None:
    async with site(routes, "-api-allow-path", "^/posted") as s:
        reply = await s.ask("/posted", method="GET")

    assert (reply.status, reply.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "BREW", "get"])
async def test_unknown_methods_are_not_allowed(site: Any, method: str) -> None:
    async with site(routes) as s:
        assert (await s.ask("/open", method=method)).status == 405


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
async def test_a_method_in_a_header_is_not_allowed(site: Any, name: str) -> None:
    async with site(routes) as s:
        assert (await s.ask("/posted", b"{}", headers={name: "DELETE"})).status == 405


@pytest.mark.parametrize("raw", [b"/../etc", b"/%2e%2e/x", b"/a%00", b"/%ff", b"/..;/x", b"/a\\b"])
async def test_a_path_without_normal_form_is_refused_for_everyone(site: Any, raw: bytes) -> None:
    async with site(routes) as s:
        assert (await s.ask("/", raw=raw)).status == 400


async def test_rules_and_routing_see_the_same_path(site: Any) -> None:
    async with site(routes, "-api-deny-path", "^/open$") as s:
        for raw in (b"/open", b"/%6fpen", b"//open", b"/%2Fopen"):
            assert (await s.ask("/", raw=raw)).status == 403


async def test_unexpected_failures_keep_their_words(site: Any, caplog: Any) -> None:
    async with site(routes) as s:
        reply = await s.ask("/fails")
        again = await s.ask("/open")

    assert (reply.status, again.status) == (500, 200)
    assert "secret" not in reply.body.decode()
    assert "secret detail" in caplog.text


async def test_our_errors_say_what_they_mean(site: Any) -> None:
    async with site(routes) as s:
        reply = await s.ask("/fails?own=1")

    expected = {
        "status": 409,
        "message": "Record already exists",
        "code": "AlreadyExists",
        "hint": "x",
    }
    assert reply.json() == expected


@pytest.mark.parametrize("target", ["/open", "/nothing", "/x.png", "/%ff", "/fails", "/docs"])
async def test_every_answer_has_the_headers_for_safety(site: Any, target: str) -> None:
    async with site(routes) as s:
        headers = (await s.ask("/", raw=target.encode())).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["server"].startswith("bkjs/")
    assert "strict-transport-security" not in headers


async def test_private_answers_are_not_stored(site: Any) -> None:
    async with site(routes) as s:
        assert "no-store" in (await s.ask("/open")).headers["cache-control"]
        assert "no-store" in (await s.ask("/closed")).headers["cache-control"]


async def test_what_an_account_got_is_not_stored_unless_the_handler_says_so(site: Any) -> None:
    own = Routes()

    @own.endpoint("/raw")
    def raw(req: Request) -> Response:
        return Response(b"x", 200, "image/png")

    @own.endpoint("/kept")
    def kept(req: Request) -> Response:
        return Response(b"x", 200, "image/png", [(b"cache-control", b"private, max-age=9")])

    async with site(own, "-api-allow-anonymous", "^/raw") as s:
        await add_account(s.app, "u")
        assert "cache-control" not in (await s.ask("/raw")).headers
        assert "no-store" in (await s.ask("/raw", login="u")).headers["cache-control"]
        headers = (await s.ask("/kept", login="u")).headers
    assert headers["cache-control"] == "private, max-age=9"


async def test_browsers_keep_to_tls(site: Any) -> None:
    async with site(routes) as s:
        assert "strict-transport-security" in (await s.ask("/open", scheme="https")).headers


async def test_head_is_as_get(site: Any) -> None:
    async with site(routes) as s:
        assert (await s.ask("/open", method="HEAD")).status == 200


# -- origins, hosts, redirects ------------------------------------------------------------------

PREFLIGHT = {"access-control-request-method": "POST", "origin": "https://a.com"}


async def test_other_origins_get_nothing_by_default(site: Any) -> None:
    async with site(routes) as s:
        reply = await s.ask("/open", headers={"origin": "https://a.com"})
        assert not [name for name in reply.headers if name.startswith("access-control")]
        preflight = await s.ask("/closed", method="OPTIONS", headers=PREFLIGHT)
        assert preflight.status == 204
        assert not [name for name in preflight.headers if name.startswith("access-control")]


async def test_a_configured_origin_may_send_cookies(site: Any) -> None:
    async with site(routes, "-api-cors-origin", "https://a.com") as s:
        reply = await s.ask("/closed", method="OPTIONS", headers=PREFLIGHT)
        assert reply.status == 204
        assert reply.headers["access-control-allow-origin"] == "https://a.com"
        assert reply.headers["access-control-allow-credentials"] == "true"
        assert "bk-signature" in reply.headers["access-control-allow-headers"]
        assert reply.headers["vary"] == "Origin"
        other = await s.ask("/open", headers={"origin": "https://a.com.evil.org"})
        assert "access-control-allow-origin" not in other.headers


async def test_caches_are_told_that_an_answer_depends_on_the_origin(site: Any) -> None:
    """Also one without: a cache would give it to a page that sends one."""
    async with site(routes, "-api-cors-origin", "https://a.com") as s:
        for headers in ({}, {"origin": "https://b.com"}, {"origin": "https://a.com"}):
            assert (await s.ask("/open", headers=headers)).headers["vary"] == "Origin"


async def test_any_origin_goes_without_cookies(site: Any) -> None:
    async with site(routes, "-api-cors-origin", "*") as s:
        headers = (await s.ask("/open", headers={"origin": "https://a.com"})).headers

    assert headers["access-control-allow-origin"] == "*"
    assert headers["access-control-expose-headers"] == "bk-next-token, etag"
    assert "access-control-allow-credentials" not in headers


@pytest.mark.parametrize("origin", ["*", "null", "", "https://b.com", "*, https://a.com"])
@pytest.mark.parametrize("configured", ["*", "*,https://a.com"])
async def test_no_origin_but_a_configured_one_gets_credentials(
    site: Any, origin: str, configured: str
) -> None:
    async with site(routes, "-api-cors-origin", configured) as s:
        for method, more in (("GET", {}), ("OPTIONS", PREFLIGHT)):
            headers = (
                await s.ask("/open", method=method, headers=more | {"origin": origin})
            ).headers
            assert "access-control-allow-credentials" not in headers
            assert headers.get("access-control-allow-origin", "*") == "*"


async def test_options_without_a_preflight_run_the_endpoint(site: Any) -> None:
    async with site(routes) as s:
        assert (await s.ask("/open", method="OPTIONS")).json()["path"] == "/open"


@pytest.mark.parametrize(
    ("host", "status"), [("a.com", 200), ("x.b.com:80", 200), ("b.com", 421), ("evil.com", 421)]
)
async def test_only_configured_hosts_are_served(site: Any, host: str, status: int) -> None:
    async with site(routes, "-api-hosts", "a.com,*.b.com") as s:
        assert (await s.ask("/open", headers={"host": host})).status == status


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/oldpath", "/new/oldpath"),
        ("/oldpath?a=1", "/new/oldpath"),
        ("/away/x?y=1", "https://h.com/away/x?y=1"),
    ],
)
async def test_old_addresses_are_redirected(site: Any, target: str, location: str) -> None:
    rules = '{"^[^/]+/oldpath":"/new@PATH@","^[^/]+/away":"https://@HOST@@URL@"}'
    async with site(routes, "-api-redirect-url", rules) as s:
        reply = await s.ask(target)

    assert (reply.status, reply.headers["location"]) == (302, location)


async def test_a_redirect_never_leads_to_a_host_from_the_path(site: Any) -> None:
    async with site(routes, "-api-redirect-url", '{"/r":"@PATH@"}') as s:
        reply = await s.ask("/", raw=b"//evil.com/r")

    assert reply.headers["location"] == "/evil.com/r"


async def test_paths_that_need_tls(site: Any) -> None:
    async with site(routes, "-api-allow-ssl", "^/open", "-api-redirect-ssl", "^/closed") as s:
        assert (await s.ask("/open")).json()["message"] == "SSL only access"
        assert (await s.ask("/open", scheme="https")).status == 200
        assert (await s.ask("/closed?a=1")).headers["location"] == "https://h.com/closed?a=1"


@pytest.mark.parametrize(("port", "where"), [("8443", "h.com:8443"), ("443", "h.com")])
async def test_a_redirect_to_tls_leads_to_our_own_port(site: Any, port: str, where: str) -> None:
    settings = ("-api-redirect-ssl", "^/closed", "-ssl-key", "k.pem", "-ssl-port", port)
    async with site(routes, *settings) as s:
        assert (await s.ask("/closed")).headers["location"] == f"https://{where}/closed"


async def test_a_path_is_served_as_another(site: Any) -> None:
    async with site(routes, "-api-routing-^/v[0-9]/open$", "/open") as s:
        assert (await s.ask("/v1/open?a=1")).json()["path"] == "/open"


async def test_rules_about_addresses_hold_for_endpoints_that_are_open_to_all(site: Any) -> None:
    async with site(routes, "-api-deny-ip", "^10[.]", "-api-allow-ip", "^192[.]") as s:
        for path in ("/open", "/named/5"):
            assert (await s.ask(path, ip="9.9.9.9")).status == 200
            assert (await s.ask(path, ip="10.1.1.1")).status == 403
        assert (await s.ask("/write", ip="192.0.0.1")).status == 200
        assert (await s.ask("/write", ip="9.9.9.9")).status == 417


BY_ADDRESS = ("-api-allow-ip", "^192[.]")
EVIL = "http://evil.com"
BROWSER = [
    {"origin": EVIL},
    {"referer": f"{EVIL}/page"},
    {"sec-fetch-site": "same-origin"},
    {"sec-fetch-site": "none"},
    {"sec-fetch-mode": "navigate"},
    {"accept-language": "en"},  # over plain http a page can leave out all others
    {"accept-language": ""},
]


async def by_address(s: Any, host: str, headers: dict[str, str]) -> int:
    headers = {"host": host, **headers}
    return int((await s.ask("/closed", headers=headers, ip="192.0.0.1")).status)


@pytest.mark.parametrize("headers", BROWSER)
async def test_no_name_that_somebody_lets_lead_here_comes_in_by_its_address(
    site: Any, headers: dict[str, str], caplog: Any
) -> None:
    async with site(routes, *BY_ADDRESS) as s:
        for host in (
            "evil.com",
            "evil.com",
            "EVIL.com",
            "localhost.evil.com",
            "127.0.0.1.evil.com",
        ):
            assert await by_address(s, host, headers) == 417
            assert (await s.ask("/open", headers={"host": host, **headers})).status == 200
        assert (await s.ask("/closed", headers=headers | {"host": "evil.com"})).status == 417
    assert caplog.text.count("'evil.com', a name which anybody could lead here") == 1
    assert "name it in api-hosts" in caplog.text


@pytest.mark.parametrize(
    "host", ["192.0.0.9", "[fd00::1]", "localhost", "app.localhost", "LOCALHOST"]
)
async def test_a_browser_comes_in_by_its_address_under_a_name_that_leads_nowhere_else(
    site: Any, host: str
) -> None:
    async with site(routes, *BY_ADDRESS) as s:
        for port in ("", ":8000"):
            for headers in ({"origin": f"http://{host}{port}"}, {"sec-fetch-site": "same-origin"}):
                assert await by_address(s, f"{host}{port}", headers) == 200


@pytest.mark.parametrize(
    ("argv", "host", "headers", "status"),
    [
        (("-api-hosts", "h.com"), "h.com:8000", {"sec-fetch-site": "none"}, 200),
        (("-api-hosts", "H.com,*.A.com"), "h.com", {"sec-fetch-site": "none"}, 200),
        (("-api-hosts", "H.com,*.A.com"), "B.a.com", {"sec-fetch-site": "none"}, 200),
        (("-api-hosts", "H.com,*.A.com"), "ba.com", {"sec-fetch-site": "none"}, 421),
        (("-api-hosts", "h.com"), "evil.com", {"origin": EVIL}, 421),
        (("-api-cors-origin", "http://h.com"), "h.com", {"accept-language": "en"}, 200),
        (("-api-cors-origin", "http://h.com"), "evil.com", {"origin": EVIL}, 417),
        (("-api-cors-origin", "http://a.com"), "h.com", {"origin": "http://a.com"}, 200),
        (("-api-cors-origin", "*"), "*", {"origin": "http://*"}, 417),
        ((), "h.com", {}, 200),  # no browser
        ((), "h.com", {"user-agent": "curl/8", "accept": "*/*"}, 200),
    ],
)
async def test_names_that_are_configured_come_in_by_their_address(
    site: Any, argv: tuple[str, ...], host: str, headers: dict[str, str], status: int
) -> None:
    async with site(routes, *BY_ADDRESS, *argv) as s:
        assert await by_address(s, host, headers) == status


async def test_addresses_that_are_refused_are_those_that_call(site: Any) -> None:
    """No matter whether an address lets in: a rule may name all others."""
    async with site(routes, *BY_ADDRESS, "-api-deny-ip", "^(?!192[.])") as s:
        for headers in ({"origin": EVIL}, {"accept-language": "en"}):
            assert (await s.ask("/open", headers=headers, ip="192.0.0.1")).status == 200


async def test_a_suffix_opens_no_path_that_answers_other_methods(site: Any) -> None:
    async with site(routes, "-api-allow-path", r"\\.js$") as s:
        assert (await s.ask("/away/x.js", b"a=1", headers=FORM)).status == 417
        assert (await s.ask("/away/x.js")).status == 417
        assert (await s.ask("/nowhere/x.js")).status == 404


async def test_plans_of_long_paths_and_odd_methods_are_not_kept(site: Any) -> None:
    async with site(routes) as s:
        plans = s.web.handle._plans
        for path in ("/" + "x" * LONGEST_KEY, "/open?" + "x" * LONGEST_KEY):
            await s.ask(path)
        await s.ask("/open", method="BREW")
        assert list(plans._found) == [("GET", b"/open")]
        await s.ask("/closed")
        assert len(plans._found) == 2
        plans.forget()
        assert len(plans._found) == 0


# -- registrations ------------------------------------------------------------------------------


async def test_access_checks_decide_before_the_signature(site: Any) -> None:
    def middleware(web: Any) -> None:
        web.register_access_check("", "/closed", lambda req: {"status": 402, "message": "pay"})
        web.register_access_check("", "/clo.*", lambda req: {"status": 200})

    async with site(routes, configure_middleware=middleware) as s:
        assert (await s.ask("/closed")).json() == {"status": 402, "message": "pay"}


async def test_a_pattern_that_begins_with_a_caret_is_searched(site: Any) -> None:
    def middleware(web: Any) -> None:
        web.register_access_check("get", "^/clo", lambda req: {"status": 402, "message": "pay"})

    async with site(routes, configure_middleware=middleware) as s:
        assert (await s.ask("/closed")).status == 402
        assert (await s.ask("/open")).status == 200


async def test_pre_processes_see_the_outcome_and_may_change_it(site: Any) -> None:
    seen = []

    async def redirect(req: Request, status: Any) -> Any:
        seen.append(status["status"])
        return {"status": 302, "url": "/welcome"} if status["status"] == 417 else None

    def middleware(web: Any) -> None:
        web.register_pre_process("GET", "/closed", redirect)

    async with site(routes, configure_middleware=middleware) as s:
        await add_account(s.app, "u")
        assert (await s.ask("/closed")).headers["location"] == "/welcome"
        assert (await s.ask("/closed", login="u")).status == 200
        assert (await s.ask("/closed", method="POST")).status == 417
    assert seen == [417, 200]


async def test_post_processes_see_the_value_before_it_is_cleaned(site: Any, caplog: Any) -> None:
    def change(req: Request, value: Any) -> None:
        value["more"] = req.path

    def broken(req: Request, value: Any) -> None:
        raise RuntimeError("post-process broke")

    def middleware(web: Any) -> None:
        web.register_post_process("", "/open", broken)
        web.register_post_process("", "/open", change)
        web.register_post_process("", "/fails", change)

    async with site(routes, configure_middleware=middleware) as s:
        assert (await s.ask("/open")).json()["more"] == "/open"
    assert "post-process broke" in caplog.text


async def test_a_post_process_can_answer_itself(site: Any) -> None:
    def middleware(web: Any) -> None:
        answer = Response(b"mine", content_type="text/plain")
        web.register_post_process("", "/open", lambda req, value: answer)

    async with site(routes, configure_middleware=middleware) as s:
        assert (await s.ask("/open")).body == b"mine"


async def test_status_objects_can_be_changed(site: Any) -> None:
    def change(req: Request, data: dict[str, Any]) -> None:
        data["hint"] = "sign"

    def middleware(web: Any) -> None:
        web.register_send_status("", re.compile(""), change)

    async with site(routes, configure_middleware=middleware) as s:
        assert (await s.ask("/closed")).json()["hint"] == "sign"


async def test_clean_ups_run_after_the_answer_also_of_a_failure(site: Any) -> None:
    done = []

    async def clean(req: Request) -> None:
        done.append(req.path)

    def middleware(web: Any) -> None:
        web.register_cleanup("", "/open", clean)
        web.register_cleanup("", "/fails", clean)

    async with site(routes, configure_middleware=middleware) as s:
        await s.ask("/open")
        await s.ask("/fails?own=1")
    assert done == ["/open", "/fails"]


async def test_registrations_may_come_late(site: Any) -> None:
    async with site(routes) as s:
        await s.ask("/open")
        s.web.register_access_check("", "/open", lambda req: {"status": 403, "message": "no"})
        assert (await s.ask("/open")).status == 403
        late = Routes()
        late.endpoint("/late", public=True, reply=dict)(lambda req: {"late": True})
        assert (await s.ask("/late")).status == 417
        s.web.add(late)
        assert (await s.ask("/late")).json() == {"late": True}


async def test_a_plugin_says_who_it_is_and_what_they_may(site: Any) -> None:
    def authenticate(app: Any, req: Request) -> Any:
        name = req.header("x-user")
        return {"id": name, "login": name} if name else None

    def authorize(app: Any, req: Request) -> Any:
        return False if req.account["login"] == "bad" else None

    async with site(routes, authenticate=authenticate, authorize=authorize) as s:
        assert (await s.ask("/closed", headers={"x-user": "u"})).json() == {"login": "u"}
        assert (await s.ask("/closed", headers={"x-user": "bad"})).status == 403
        assert (await s.ask("/closed")).status == 417


async def test_two_modules_cannot_have_one_endpoint(site: Any) -> None:
    with pytest.raises(StartError, match="two endpoints"):
        async with site(routes, configure_middleware=lambda web: web.add(routes)):
            pass


async def test_reserved_controls_cannot_be_registered(site: Any) -> None:
    async with site(routes) as s:
        with pytest.raises(StartError, match="reserved"):
            s.web.register_control_params({"path": {"type": "string"}})
        s.web.register_control_params({"archive": {"type": "bool"}, "count": {"type": "bool"}})
        assert s.web.control_params["count"]["type"] == "int"


# -- limits -------------------------------------------------------------------------------------


async def test_too_many_requests_of_an_address(site: Any) -> None:
    async with site(routes, "-api-rlimits-rate-ip", "2") as s:
        for _ in range(2):
            assert (await s.ask("/open", ip="1.1.1.1")).status == 200
        reply = await s.ask("/open", ip="1.1.1.1")
        assert (reply.status, reply.headers["retry-after"]) == (429, "1")
        assert (await s.ask("/open", ip="2.2.2.2")).status == 200
        assert s.web.traffic.snapshot()["ip_0"] == 1


async def test_too_many_requests_to_a_path(site: Any) -> None:
    async with site(routes, "-api-rlimits-rate-/open", "1") as s:
        assert (await s.ask("/open")).status == 200
        assert (await s.ask("/open")).status == 429
        assert (await s.ask("/named/1")).status == 200


async def test_forwarded_addresses_of_strangers_do_not_widen_a_limit(site: Any) -> None:
    async with site(routes, "-api-rlimits-rate-ip", "1") as s:
        statuses = [
            (await s.ask("/open", headers={"x-forwarded-for": f"1.1.1.{n}"})).status
            for n in range(3)
        ]
    assert statuses == [200, 429, 429]


async def test_too_many_requests_of_an_account(site: Any) -> None:
    async with site(routes, "-api-rlimits-rate-id", "1") as s:
        await add_account(s.app, "u")
        await add_account(s.app, "v")
        assert (await s.ask("/closed", login="u")).status == 200
        assert (await s.ask("/closed", login="u")).status == 429
        assert (await s.ask("/closed", login="v")).status == 200


async def test_too_many_tries_of_a_login(site: Any) -> None:
    async with site(routes, "-api-rlimits-rate-login", "1") as s:
        assert (await s.ask("/closed", login="u", secret="a")).status == 401
        assert (await s.ask("/closed", login="u", secret="b")).status == 429
        assert (await s.ask("/closed", login="w", secret="b")).status == 401


ONE_TRY = ("-api-rlimits-rate-login", "1", "-api-rlimits-interval", "600000")


async def test_another_spelling_of_a_login_is_no_other_login(site: Any) -> None:
    async with site(routes, *ONE_TRY) as s:
        await add_account(s.app, "zoe", "k")
        assert (await s.ask("/closed", login="zoe")).status == 200
        for login in ("Zoe", "zOe", " ZOE ", "Ｚoe"):
            header = {"bk-signature": f"4||{login}|x|{int(time.time() * 1000) + 60_000}||"}
            assert (await s.ask("/closed", headers=header)).status == 429
        for login in ("Zoe", "ZOE"):
            reply = await s.ask(f"/login?login={login}&password=x")
            assert reply.status == 429


async def test_strangers_who_name_a_login_use_up_nothing_of_it(site: Any) -> None:
    async with site(routes, *ONE_TRY) as s:
        await add_account(s.app, "zoe", "k")
        for number, status in enumerate((401, 429, 429)):
            reply = await s.ask("/closed", login="zoe", secret=f"guess {number}", ip="6.6.6.6")
            assert reply.status == status
        assert (await s.ask("/closed", login="zoe", ip="1.1.1.1")).status == 200


async def test_an_overloaded_process_says_so(site: Any) -> None:
    async with site(routes) as s:
        s.web.overload.reason = "busy"
        reply = await s.ask("/open")
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert s.web.traffic.snapshot()["busy_0"] == 1


def test_old_garbage_is_looked_for_when_memory_has_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    used, clock, collected = [100 << 20], [0.0], []

    def collect() -> None:
        collected.append(used[0])
        clock[0] += 1  # it took a second
        used[0] -= 50 << 20

    monkeypatch.setattr(overloads, "memory", lambda: used[0])
    monkeypatch.setattr(overloads.gc, "collect", collect)
    monkeypatch.setattr(overloads.time, "monotonic", lambda: clock[0])
    settings = dict.fromkeys(
        ("max_latency", "max_cpu_util", "max_memory_heap", "max_memory_rss"), 0
    )
    overload = Overload(SimpleNamespace(**settings))
    for grown, expected in ((0, 0), (60, 0), (10, 1), (60, 1), (20, 1)):
        used[0] += grown << 20
        overload.look(0)
        assert len(collected) == expected
    clock[0] += 29  # collecting takes no more than 3 % of the time
    overload.look(0)
    assert len(collected) == 1
    clock[0] += 1
    overload.look(0)
    assert len(collected) == 2


def test_only_a_loop_that_stays_late_is_overloaded() -> None:
    settings = {"max_latency": 1000, "max_cpu_util": 0, "max_memory_heap": 0, "max_memory_rss": 0}
    overload = Overload(SimpleNamespace(**settings))
    reasons = []
    for late in (0, 5000, 10, 1500, 1500, 10):
        overload.look(late)
        reasons.append(overload.reason)
    assert reasons == ["", "", "", "", "busy", ""]


async def test_where_a_handler_blocks_the_loop_is_written_down(
    site: Any, serve: Any, monkeypatch: Any, capfd: Any
) -> None:
    blocking = Routes()

    @blocking.endpoint("/block", public=True, reply=dict)
    def standstill(req: Request) -> Any:
        time.sleep(1)
        return {}

    monkeypatch.setattr(server, "STUCK", 0.5)
    async with site(blocking, "-api-header-timeout", "400") as s, serve(s) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /block HTTP/1.1\r\nHost: h\r\n\r\n")
        await reader.readuntil(b"{}")
        writer.close()
    assert "in standstill" in capfd.readouterr().err


async def test_a_full_queue_refuses(site: Any) -> None:
    slow = Routes()
    go = asyncio.Event()

    @slow.endpoint("/slow", public=True, reply=dict)
    async def wait(req: Request) -> Any:
        await go.wait()
        return {}

    async with site(slow, "-api-max-request-queue", "1") as s:
        first = asyncio.create_task(s.ask("/slow"))
        await asyncio.sleep(0)
        assert (await s.ask("/ping")).status == 503
        go.set()
        assert (await first).status == 200


async def test_a_handler_that_takes_too_long_is_stopped(site: Any) -> None:
    slow = Routes()
    stopped = []

    @slow.endpoint("/slow", public=True, timeout=5, reply=dict)
    async def wait(req: Request) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(req.path)

    async with site(slow) as s:
        task = asyncio.create_task(s.ask("/slow"))
        await asyncio.sleep(0)
        now = asyncio.get_running_loop().time()
        s.web.deadlines.sweep(now + 4)
        await asyncio.sleep(0)
        assert not task.done()
        s.web.deadlines.sweep(now + 7)
        reply = await task
    assert (reply.status, reply.json()["code"], stopped) == (503, "Timeout", ["/slow"])


async def test_handlers_get_a_turn_after_a_stall() -> None:
    deadlines = Deadlines()
    task = asyncio.create_task(asyncio.Event().wait())
    deadlines.begin(task, 5)
    deadlines.look(100)
    assert not task.cancelling()
    deadlines.look(101)
    assert task.cancelling()


async def test_what_has_no_end_is_not_begun_when_the_process_ends() -> None:
    deadlines = Deadlines()
    endless, other = (asyncio.create_task(asyncio.Event().wait()) for _ in range(2))
    await asyncio.sleep(0)
    deadlines.close(reason := Timeout("the server ends"))
    deadlines.streams(endless, endless=True)
    deadlines.streams(other, endless=False)
    assert (endless.cancelling(), other.cancelling()) == (1, 0)
    assert deadlines.ended(endless) is reason
    other.cancel()
    endless.cancel()


async def test_what_the_path_says_counts_before_the_query(site: Any) -> None:
    own = Routes()

    @own.endpoint("/p/{id}", public=True, reply=dict)
    async def named(req: Request) -> Any:
        return req.query

    async with site(own) as s:
        assert (await s.ask("/p/1?id=2&a=3")).json() == {"id": "1", "a": "3"}
        assert (await s.ask("/p/1", b'{"id":2}', headers=JSON)).json() == {"id": "1"}


async def test_a_handler_says_what_caches_may_keep_of_an_accounts_answer(site: Any) -> None:
    own = Routes()

    @own.endpoint("/kept", reply=dict)
    async def kept(req: Request) -> Any:
        req.response_headers.append((b"cache-control", b"private, max-age=60"))
        return {}

    async with site(own) as s:
        await add_account(s.app, "u")
        reply = await s.ask("/kept", login="u")
    assert reply.headers["cache-control"] == "private, max-age=60"


async def test_what_is_ended_twice_has_one_reason() -> None:
    deadlines = Deadlines()
    task = asyncio.create_task(asyncio.Event().wait())
    await asyncio.sleep(0)
    deadlines.cancel(task, first := Timeout("first"))
    deadlines.cancel(task, Timeout("second"))
    assert deadlines.ended(task) is first
    assert not task.cancelling()
    task.cancel()


async def test_a_cancelled_request_is_not_taken_for_a_late_one(site: Any) -> None:
    slow = Routes()

    @slow.endpoint("/slow", public=True, reply=dict)
    async def wait(req: Request) -> Any:
        await asyncio.Event().wait()

    async with site(slow) as s:
        task = asyncio.create_task(s.ask("/slow"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert s.web.traffic.running == 0


# -- FastAPI ------------------------------------------------------------------------------------


class Item(Params):
    name: str


@pytest.fixture
def router() -> Any:
    from fastapi import HTTPException

    found = APIRouter()

    @found.get("/api/items/{id}")
    async def get(id: int, q: str = "") -> Any:
        return {"id": id, "q": q}

    @found.post("/api/items")
    async def post(items: list[Item]) -> Any:
        return [item.name for item in items]

    @found.get("/api/broken")
    async def broken() -> Any:
        raise ValueError("secret detail")

    @found.get("/api/gone.png")
    async def gone() -> Any:
        raise HTTPException(410, "gone")

    return found


def with_router(router: Any) -> Any:
    return {"configure_web": lambda web: web.include_router(router)}


async def test_fastapi_routes_are_behind_the_same_rules(site: Any, router: Any) -> None:
    async with site(**with_router(router)) as s:
        await add_account(s.app, "u")
        assert (await s.ask("/api/items/7")).status == 417
        assert (await s.ask("/api/gone.png")).status == 417
        reply = await s.ask("/api/items/7?q=x", login="u")
        assert reply.json() == {"id": 7, "q": "x"}
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "no-store" in reply.headers["cache-control"]
        assert (await s.ask("/api/gone.png", login="u")).status == 410


JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("target", "body", "headers"),
    [
        ("?role=1", b"", {}),
        ("?ROLE=1", b"", {}),
        ("?r%6fle=1", b"", {}),
        ("?name=1&role", b"", {}),
        ("?role=", b"", {}),
        ("", b'{"role":1}', JSON),
        ("", b'{"r\\u006fle":1}', JSON),
        ("", b"role=1", FORM),
        ("", b"r%6Fle=1", FORM),
        ("", b'{"role":1}', {"content-type": "application/vnd.api+json"}),
        ("", b"x", {"content-type": "multipart/form-data; boundary=b"}),
        ("", b"{", JSON),
    ],
)
async def test_a_parameter_denied_to_an_account_reaches_no_route_of_fastapi(
    site: Any, target: str, body: bytes, headers: dict[str, str]
) -> None:
    router, seen = APIRouter(), []

    @router.api_route("/api/any", methods=["GET", "POST"])
    async def any_(request: FastAPIRequest) -> None:
        seen.append(request.url.query)

    async with site(**with_router(router)) as s:
        await add_account(s.app, "u", query_deny="^role$")
        method = "POST" if body else "GET"
        refused = 400 if body == b"{" else 403  # what is no JSON goes no further
        for sent, raw, status in ((target, body, refused), ("?name=1", b"", 200)):
            signed = {} if not raw else headers | {"content-length": str(len(raw))}
            kind = headers.get("content-type", "") if raw else ""
            url = f"http://h.com/api/any{sent}"
            form = raw if kind.endswith("urlencoded") else None
            signed |= sign("u", "k", method if raw else "GET", url, body=form, content_type=kind)
            reply = await s.ask("/api/any" + sent, raw, headers=signed)
            assert reply.status == status, reply.body
    assert [query.startswith("name=1") for query in seen] == [True]


async def test_fastapi_reads_the_body_that_the_gateway_has_read(site: Any, router: Any) -> None:
    async with site(None, "-api-allow-path", "^/api/", **with_router(router)) as s:
        body = b'[{"name":"a"},{"name":"b"}]'
        reply = await s.ask("/api/items", body, headers={"content-type": "application/json"})
    assert reply.json() == ["a", "b"]


async def test_a_signed_request_to_fastapi_counts_once(site: Any, router: Any) -> None:
    async with site(**with_router(router)) as s:
        await add_account(s.app, "u")
        sent = sign("u", "k", "POST", "http://h.com/api/items", content_type="application/json")
        for status in (200, 406):
            assert (await s.ask("/api/items", b"[]", headers=sent)).status == status


async def test_a_broken_fastapi_route_keeps_its_words(site: Any, router: Any, caplog: Any) -> None:
    async with site(None, "-api-allow-path", "^/api/", **with_router(router)) as s:
        reply = await s.ask("/api/broken")
    assert reply.status == 500
    assert "secret" not in reply.body.decode()
    assert "secret detail" in caplog.text


# -- log, numbers, languages --------------------------------------------------------------------


async def test_the_access_log_hides_secrets_and_keeps_one_line(site: Any, tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    fields = "q:a,h:cookie,h:x-one"
    async with site(
        routes, "-api-access-log-file", str(file), "-api-access-log-fields", fields
    ) as s:
        await s.ask(
            "/open?a=1&bk-signature=SIG&password=PW",
            headers={"user-agent": "App/1.2\x7f x", "cookie": "bk-session=C", "x-one": "a\r\nb"},
        )
        await asyncio.sleep(0)
        s.web.access_log.flush()
        line = file.read_text()

    assert line.count("\n") == 1
    assert "127.0.0.1 - [" in line
    assert "GET /open?a=1&bk-signature=***&password=*** HTTP/1.1 200 " in line
    assert not [word for word in ("SIG", "PW", "bk-session") if word in line]
    assert line.rstrip().endswith("1 *** a%0D%0Ab")


async def test_no_url_breaks_its_line(site: Any, tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    async with site(routes, "-api-access-log-file", str(file)) as s:
        await s.ask("/", raw=b"/a b\r\nGET /forged\x85")
        s.web.access_log.flush()

    assert " /a%20b%0D%0AGET%20/forged%C2%85 HTTP/1.1 400 " in file.read_text()


async def test_the_access_log_follows_a_rotation(site: Any, tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    async with site(routes, "-api-access-log-file", str(file)) as s:
        await s.ask("/open")
        s.web.access_log.flush()
        file.rename(tmp_path / "old.log")
        await s.ask("/ping")
        s.web.access_log.flush()

    assert "/open" in (tmp_path / "old.log").read_text()
    assert "/ping" in file.read_text()
    assert "/open" not in file.read_text()


async def test_without_a_file_the_lines_go_to_the_log(site: Any, caplog: Any) -> None:
    async with site(routes) as s:
        with caplog.at_level(logging.INFO, "bkjs.access"):
            await s.ask("/open")
            s.web.access_log.flush()
    assert "GET /open HTTP/1.1 200" in caplog.text


async def test_requests_are_counted_by_status_and_path(site: Any) -> None:
    async with site(routes) as s:
        await s.ask("/open")
        await s.ask("/named/1")
        await s.ask("/named/x")
        await s.ask("/fails")
        await s.ask("/nothing")
        found = s.web.traffic.snapshot()
        assert (found["api_req_0"], found["api_200_0"], found["api_417_0"]) == (5, 2, 1)
        assert (found["api_bad_0"], found["api_err_0"]) == (2, 1)
        assert (found["url_open_0"], found["url_fails_err_0"]) == (1, 1)
        assert (found["url_named_id_0"], found["url_named_id_bad_0"]) == (1, 1)
        assert s.web.traffic.snapshot()["api_req_0"] == 0


async def test_messages_come_in_the_language_of_the_request(site: Any, tmp_path: Path) -> None:
    (tmp_path / "es.json").write_text('{"No login provided": "Sin usuario"}')
    async with site(routes, "-locales-path", str(tmp_path)) as s:
        for headers in ({"bk-lang": "es"}, {"accept-language": "es-MX,en"}, {"bk-lang": "es-mx"}):
            assert (await s.ask("/closed", headers=headers)).json()["message"] == "Sin usuario"
        assert (await s.ask("/closed")).json()["message"] == "No login provided"
    async with site(routes, "-locales-path", str(tmp_path), "-locales", "de,fr") as s:
        assert s.web.catalogs.locales == {}


async def test_a_changed_setting_counts_at_once(site: Any) -> None:
    async with site(routes) as s:
        assert (await s.ask("/open")).status == 200
        config = s.app.config
        config.update({"local": parse_argv(["-api-deny-path", "^/open"])})
        assert (await s.ask("/open")).status == 403


async def test_an_answer_that_is_written_at_once_is_the_usual_one(site: Any, serve: Any) -> None:
    async with site(routes) as s, serve(s) as port:
        write, written = s.web.handle.write_whole, []
        s.web.handle.write_whole = lambda *a: written.append(write(*a)) or written[-1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /open?a=1 HTTP/1.1\r\nhost: h.com\r\n\r\n")
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        headers = dict(line.split(": ", 1) for line in lines[1:])
        body = await reader.readexactly(int(headers["content-length"]))
        writer.close()
        usual = await s.ask("/open?a=1")

    assert written == [True, False]
    assert lines[0] == "HTTP/1.1 200 OK"
    assert headers.pop("date")
    assert (headers, body) == (usual.headers, usual.body)
