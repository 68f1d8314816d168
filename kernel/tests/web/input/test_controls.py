"""Control parameters and next tokens."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkjs.auth.tokens import decode_token, decrypt_open, encode_token
from bkjs.db.request import paging
from bkjs.db.request.paging import Position
from bkjs.errors import BadRequest
from bkjs.lib.sealed import seal, unseal
from bkjs.testing.vectors import Case, known, vectors
from bkjs.web.input.controls import (
    _READ,
    CONTROLS,
    Controls,
    _string,
    get_controls,
    get_result_page,
    read_controls,
    request_options,
)

KEY = b"k" * 32


def request(query: dict[str, Any], *, compat: tuple[str, ...] = (), secret: str = "") -> Any:
    settings = SimpleNamespace(
        compat=frozenset(compat), query_token_secret=secret, control_params=Controls(CONTROLS)
    )
    app = SimpleNamespace(keys=SimpleNamespace(get=lambda name: KEY))
    return SimpleNamespace(app=app, settings=settings, query=query, account={}, controls={})


def parsed(query_string: str) -> dict[str, Any]:
    found = parse_qs(query_string, keep_blank_values=True)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


@pytest.mark.parametrize("case", vectors("api-controls"))
@pytest.mark.parametrize("compat", [("tokens",), ()], ids=["compat", "strict"])
def test_controls(case: Case, compat: tuple[str, ...]):
    options = get_controls(request(parsed(case["query_string"]), compat=compat))
    expected = case.wanted("options")
    known(case.get("compat", ()), ("tokens", "2018"), "compat")
    if not compat:
        expected = case.get("strict", expected)
    assert options == {name: value for name, value in expected.items() if name != "cleanup"}


@pytest.mark.parametrize("case", vectors("api-misc", "encrypt_access_token"))
def test_old_access_tokens_are_read(case: Case):
    pytest.importorskip("cryptography")
    assert decrypt_open(case["key"], case["hex"], enc="hex") == case["data"]


@pytest.mark.parametrize("case", vectors("api-misc", "token", "token_decode"))
def test_old_tokens_are_read_in_compatible_mode_only(case: Case):
    secret = case["secret"]
    assert decode_token(KEY, case["token"], compat=True, secret=secret) == case.wanted("decoded")
    strict = case.get("strict", case)["decoded"]
    assert decode_token(KEY, case["token"]) == strict


def test_a_secret_alone_opens_no_old_token():
    pytest.importorskip("cryptography")
    from bkjs.lib.crypto import legacy_cipher

    encryptor = legacy_cipher(b"secret", "aes192").encryptor()
    data = encryptor.update(b'{"id":1}' + bytes([8]) * 8) + encryptor.finalize()
    token = base64.b64encode(data).decode()
    assert decode_token(KEY, token, compat=True, secret="secret") == {"id": 1}
    assert decode_token(KEY, token, secret="secret") == ""


@pytest.mark.parametrize("value", [5, "text", {"a": 1, "b": [None, 2.5]}, [1, "ü"]])
def test_a_token_returns_what_was_sealed(value: Any):
    assert decode_token(KEY, encode_token(KEY, value)) == value


def test_a_token_of_the_database_is_sealed_once():
    place = Position("after", (5, "é"))
    token = paging.seal(KEY, "mark", place)
    sent = encode_token(KEY, token)
    assert sent == token
    assert type(sent) is str
    start = decode_token(KEY, sent)
    assert paging.position(KEY, "mark", start) == paging.position(KEY, "mark", sent) == place
    for key, mark in ((KEY, "other"), (b"x" * 32, "mark")):
        with pytest.raises(BadRequest, match="start: invalid token"):
            paging.position(key, mark, start)
    for text in (sent[:-1], sent[1:], sent[:32], sent + "A", "AB"[sent[0] == "A"] + sent[1:]):
        assert decode_token(KEY, text) == ""


def test_a_token_of_another_key_is_sealed_with_ours():
    """Of a database that a program opened by itself."""
    token = paging.seal(b"x" * 32, "mark", Position("after", (5,)))
    sent = encode_token(KEY, token)
    assert sent != token
    assert paging.position(b"x" * 32, "mark", decode_token(KEY, sent)) == Position("after", (5,))


def test_no_other_value_passes_for_a_page():
    for payload in (b'["after", true, 5]\0', b'"x"'):
        text = seal(KEY, paging.PURPOSE, payload)
        with pytest.raises(BadRequest, match="start: invalid token"):
            paging.position(KEY, "mark", text)


def test_a_changed_foreign_or_misused_token_is_nothing():
    token = encode_token(KEY, {"id": "1"})
    changed = [token + "A", token[:-1], token[1:], token[:32], token[:8], token + "=", "é"]
    changed.append(token[:-1] + chr(ord(token[-1]) + 1))
    for text in changed:
        assert decode_token(KEY, text) == ""
        assert unseal(KEY, "next_token", text) is None
    assert decode_token(b"x" * 32, token) == ""
    assert decode_token(KEY, seal(KEY, "other", b'{"id":"1"}')) == ""


@pytest.mark.parametrize("text", [None, True, -1, ["1"], {"a": 1}, "9" * 17, "١٢", "-1", "1.5"])
def test_odd_values_are_no_token(text: Any):
    assert decode_token(KEY, text) == ""


def test_controls_from_a_json_body():
    query = {"_ops": {"a": "gt", "b": {"$x": 1}}, "_select": ["a", 1, "b"], "_count": 7}
    options = get_controls(request(query))
    assert options["ops"] == {"a": "gt"}
    assert options["select"] == ["a", "b"]
    assert options["count"] == 7


@pytest.mark.parametrize(
    "ops", [[["a"], "gt", "b", "lt"], [{}, "x", "b", "lt"], [1, "x", "b", "lt"]]
)
def test_only_text_names_a_column_and_its_operator(ops: Any):
    assert get_controls(request({"_ops": ops}))["ops"] == {"b": "lt"}


def test_numbers_out_of_range():
    options = get_controls(request({"_latitude": "1e999", "_page": "9" * 400, "_count": True}))
    assert options["latitude"] == 0
    assert options["page"] == 0
    assert options["count"] == 1


@pytest.mark.parametrize("value", ["", None, [], ",", [1]])
def test_an_empty_selection_is_none(value: Any):
    assert "select" not in get_controls(request({"_select": value}))


@pytest.mark.parametrize("name", ["start", "token"])
@pytest.mark.parametrize("value", ["", None])
def test_an_empty_token_is_the_first_page(name: str, value: Any):
    assert name not in get_controls(request({f"_{name}": value}))


def test_long_text_is_dropped():
    assert "ext" not in get_controls(request({"_ext": "a" * 257}))


@pytest.mark.parametrize(
    ("given", "found"),
    [("a,-b", "a,-b"), (["a", "-b"], "a,-b"), ("a" * 257, "a" * 257), (7, "7"), ("", None),
     ([], None), (["a", 1], None), ({"a": "b"}, None)],
)  # fmt: skip
def test_the_order_is_one_text_and_whole(given, found):
    """A part of it would be another order; how long it may be is said where it is used."""
    assert get_controls(request({"_sort": given})).get("sort") == found


def test_a_module_may_declare_more_controls():
    specs = Controls({"width": {"type": "int", "min": 1, "max": 100}, "verify": {"type": "bool"}})
    read = read_controls({"_width": "500", "_verify": "1"}, specs, lambda value: value)
    assert read == {"ops": {}, "noscan": 1, "width": 100, "verify": True}


MORE: dict[str, Any] = {
    "flag": {"type": "bool", "dflt": True},
    "map": {"type": "map", "dflt": {}},
    "text": {"type": "string", "dflt": "x"},
    "place": {"type": "token", "dflt": "x"},
    "odd": {"type": "nothing known"},
    "width": {"type": "int", "min": 1, "max": 100, "dflt": "7"},
    "count": {"type": "bool"},
}
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 2000), st.floats(), st.text(max_size=5),
    st.sampled_from(["1", "x,y", "a,gt,b", "2020-01-01", "true", "bad token", "1.5,2", "a" * 300]),
    st.lists(st.text(max_size=3), max_size=3), st.dictionaries(st.text(max_size=3), st.text()),
)  # fmt: skip
SENT = [*(f"_{name}" for name in (*CONTROLS, *MORE)), "count", "_", "__count", "_unknown", "start"]


@given(st.dictionaries(st.sampled_from(SENT), VALUES, max_size=8))
def test_what_is_given_and_the_defaults_are_the_whole_answer(query: dict[str, Any]) -> None:
    specs = Controls(CONTROLS)
    for name, spec in MORE.items():
        specs.setdefault(name, spec)
    assert list(specs) == list(CONTROLS | {n: s for n, s in MORE.items() if n not in CONTROLS})

    def token(value: object) -> Any:
        if value == "bad token":
            raise ValueError(value)
        return [value]

    def every(failing: list[str]) -> dict[str, Any]:
        options: dict[str, Any] = {"ops": {}, "noscan": 1}
        for name, spec in specs.items():
            value = query.get(f"_{name}")
            if f"_{name}" not in query and "dflt" not in spec:
                continue
            if spec["type"] == "token":
                if value is not None and value != "":
                    failing += [name] if value == "bad token" else []
                    options[name] = [value]
            elif (found := _READ.get(spec["type"], _string)(value, spec)) is not None:
                options[name] = found
        return options

    failing: list[str] = []
    wanted = every(failing)
    if failing:
        with pytest.raises(ValueError, match="bad token"):
            read_controls(query, specs, token)
        return
    first, second = (read_controls(query, specs, token) for _ in range(2))
    assert repr(sorted(first.items())) == repr(sorted(wanted.items()))  # nan is not itself
    for name in ("ops", "map"):  # nobody changes those of another request
        assert first[name] is not second[name]


def test_of_several_tokens_the_first_one_is_refused() -> None:
    refused = []

    def token(value: object) -> Any:
        refused.append(value)
        raise ValueError(value)

    for query in ({"_token": "t", "_start": "s"}, {"_start": "s", "_token": "t"}):
        with pytest.raises(ValueError, match="s"):
            read_controls(query, Controls(CONTROLS), token)
    assert refused == ["s", "s"]


class Rows(list[Any]):
    next_token: Any = None


def test_result_page():
    req = request({})
    assert get_result_page(req, []) == {"count": 0, "data": []}
    rows = Rows([{"id": 1}])
    assert get_result_page(req, rows) == {"count": 1, "data": rows}
    rows.next_token = {"id": 1}
    page = get_result_page(req, rows)
    assert decode_token(KEY, page["next_token"]) == {"id": 1}


def test_total_page():
    req = request({})
    req.controls = {"total": True}
    assert get_result_page(req, [{"count": 5}]) == {"count": 5}
    assert get_result_page(req, []) == {"count": 0}


def test_options_are_what_the_server_knows_and_the_controls(auth: Any):
    req = auth.request("/account/get?_count=5&_host=x")
    options = request_options(req) | req.controls
    assert options["count"] == 5
    assert (options["host"], options["cleanup"]) == ("h.com", "bk_account")
    assert options["apath"] == ["account", "get"]
