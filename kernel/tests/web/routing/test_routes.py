"""Endpoints: declaration, validation, finding them."""

from __future__ import annotations

import re
from datetime import datetime
from enum import Enum, StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, create_model

from bkjs.errors import BadRequest, StartError
from bkjs.lib.bounded import LONGEST_KEY
from bkjs.web.endpoints.routes import Routes
from bkjs.web.forms import parse
from bkjs.web.input.params import Params, validator
from bkjs.web.routing.callbacks import Hooks
from bkjs.web.routing.router import Router


class Todo(Params):
    name: str
    note: str = ""
    due: datetime | None = None
    count: int = 1
    done: bool = False
    tags: list[str] = Field(default_factory=list)


check = validator(Todo)


def test_text_becomes_the_type_of_the_field() -> None:
    found = check({"name": "x", "count": "3", "done": "off", "due": "2026-01-02T03:04:05Z"})

    assert isinstance(found, Todo)
    assert (found.count, found.done, found.due and found.due.year) == (3, False, 2026)


def test_unknown_parameters_are_dropped() -> None:
    assert check({"name": "x", "admin": "1"}).model_dump().keys() == Todo.model_fields.keys()


def test_an_empty_value_counts_as_absent_unless_it_is_text() -> None:
    found = check({"name": "", "count": "", "due": "", "tags": ""})

    assert found.model_dump() == Todo(name="").model_dump()


@pytest.mark.parametrize("tags", ["a,b", "a|b", " a , b ", ["a", "b"]])
def test_a_list_also_comes_as_text(tags: Any) -> None:
    assert check({"name": "x", "tags": tags}).model_dump()["tags"] == ["a", "b"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({}, "name is required"),
        ({"name": "x", "count": "many"}, "count: Input should be a valid integer"),
        ({"name": ["a", "b"]}, "name: Input should be a valid string"),
        ({"name": {"$ne": "1"}}, "name: Input should be a valid string"),
    ],
)
def test_an_error_names_the_field(query: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest, match=message) as error:
        check(query)
    assert error.value.reply()["field"] in message


class Form(Params):
    name: str
    age: int
    size: int = 0
    mail: str = Field("", alias="e-mail", min_length=3)


def errors_of(model: type[Params], query: dict[str, Any]) -> list[dict[str, str]]:
    with pytest.raises(BadRequest) as error:
        validator(model)(query)
    reply = error.value.reply()
    first = reply["errors"][0]
    assert reply["field"] == first["field"]
    assert reply["message"].startswith(first["field"])
    assert reply["message"].endswith(first["message"])
    return reply["errors"]  # type: ignore[no-any-return]


def test_all_wrong_fields_come_in_one_answer() -> None:
    errors = errors_of(Form, {"age": "old", "size": str(2**70), "e-mail": "x"})
    assert [(e["field"], e["code"]) for e in errors] == [
        ("name", "missing"), ("age", "int_parsing"), ("e-mail", "string_too_short"),
        ("size", "out_of_range"),
    ]  # fmt: skip
    assert errors[0]["message"] == "is required"
    errors = errors_of(Form, {"age": "5.0", "size": -(2**63)})  # whole, though not by their text
    assert [(e["field"], e["code"]) for e in errors] == [("name", "missing")]
    errors = errors_of(Form, {"name": "x", "size": -(2**63) - 1, "age": 2**63 - 1})
    assert [(e["field"], e["code"]) for e in errors] == [("size", "out_of_range")]
    errors = errors_of(Form, {"name": "x", "age": 2**64, "size": -(2**64)})
    assert [(e["field"], e["code"]) for e in errors] == [
        ("age", "out_of_range"), ("size", "out_of_range"),
    ]  # fmt: skip


def test_the_number_and_the_names_of_wrong_fields_are_bounded() -> None:
    class Closed(Params, extra="forbid"):
        pass

    errors = errors_of(Closed, {f"{n}{'x' * 10_000}": 1 for n in range(1000)})
    assert len(errors) == 50
    assert max(len(e["field"]) for e in errors) == 200


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "NaN"])
def test_numbers_are_finite(value: str) -> None:
    class Real(Params):
        x: float

    with pytest.raises(BadRequest):
        validator(Real)({"x": value})


@pytest.mark.parametrize("value", [2**63, str(2**63), "9" * 1000, -(2**63) - 1, f"{2**63}.0"])
def test_whole_numbers_have_64_bits(value: Any) -> None:
    class Whole(Params):
        n: int | None = None

    assert validator(Whole)({"n": str(2**63 - 1)}) == Whole(n=2**63 - 1)
    with pytest.raises(BadRequest, match=r"^n: "):
        validator(Whole)({"n": value})


def test_an_error_shows_no_value() -> None:
    with pytest.raises(BadRequest) as error:
        check({"name": "x", "count": "my-secret"})
    assert "my-secret" not in str(error.value.reply())


@pytest.mark.parametrize("path", ["x", "/{a}/{a}", "/{1}", "/a//b", "/{p:path}/x", "/{"])
def test_a_malformed_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        Routes().endpoint(path)


def add(router: Router, *paths: str, methods: Any = None) -> None:
    routes = Routes()
    for path in paths:
        routes.endpoint(path, methods=methods, reply=dict)(lambda req: None)
    for endpoint in routes.endpoints:
        router.add(endpoint)


@pytest.mark.parametrize(
    ("path", "expected", "values"),
    [
        ("/a", "/a", []),
        ("/a/b", "/a/b", []),
        ("/a/c", "/a/{x}", ["c"]),
        ("/b/c/d", "/b/{x}/d", ["c"]),
        ("/b/c/e", "/b/{x}/{y}", ["c", "e"]),
        ("/f/a/b/c", "/f/{rest:path}", ["a/b/c"]),
        ("/a/", None, None),
        ("/a/b/c", None, None),
        ("/b", None, None),
    ],
)
def test_the_most_exact_path_answers(path: str, expected: str, values: list[str]) -> None:
    router = Router()
    add(router, "/a/{x}", "/a", "/a/b", "/b/{x}/d", "/b/{x}/{y}", "/f/{rest:path}")

    found = router.find(path)

    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert found[0]["GET"].path == expected
        assert list(found[1]) == values


def test_a_part_that_leads_nowhere_may_be_a_name_as_well() -> None:
    router = Router()
    add(router, "/b/k/{y}/z", "/b/{x}/q/d", "/b/{rest:path}")
    for path, values in (("/b/k/q/d", ["k"]), ("/b/k/q/z", ["q"]), ("/b/k/q/x", ["k/q/x"])):
        found = router.find(path)
        assert found is not None
        assert list(found[1]) == values


def test_callbacks_are_those_that_are_registered_by_now() -> None:
    hooks: Hooks[Any] = Hooks("req")
    assert hooks.find("GET", "/a") == ()
    first, second, third = (lambda req, n=n: n for n in range(3))
    hooks.add("", "/a", first)
    assert hooks.find("GET", "/a") == (first,)
    hooks.add("get", "/a|/b", second)
    hooks.add("get", "/a|/b", second)  # once is enough
    hooks.add("POST", re.compile("a"), third)
    assert hooks.find("GET", "/a") == (first, second)
    assert hooks.find("POST", "/a") == (first, third)
    assert hooks.find("GET", "/b") == (second,)
    assert hooks.find("GET", "/ab") == hooks.find("GET", "/c/b") == ()
    size = len(hooks._found)
    hooks.find("GET", "/" + "x" * LONGEST_KEY)
    assert len(hooks._found) == size
    with pytest.raises(StartError, match="invalid pattern"):
        hooks.add("", "/(", first)


def test_two_endpoints_cannot_answer_the_same() -> None:
    router = Router()
    add(router, "/a/{x}")
    with pytest.raises(StartError, match="two endpoints for GET"):
        add(router, "/a/{y}")


def test_a_named_method_goes_before_any() -> None:
    router = Router()
    add(router, "/a")
    add(router, "/a", methods="POST")

    found = router.find("/a")

    assert found is not None
    assert not found[0]["POST"].any_method
    assert found[0]["GET"].any_method


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a=1&a=2&a=3", {"a": ["1", "2", "3"]}),
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("a[1]=b&a[0]=c", {"a": ["c", "b"]}),
        ("a[21]=x", {"a": {"21": "x"}}),
        ("a[b]=1&a[c][d]=2", {"a": {"b": "1", "c": {"d": "2"}}}),
        ("a%5Bb%5D=x+y%21", {"a": {"b": "x y!"}}),
        ("a&=1&b=", {"a": "", "b": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("[x]=1", {"[x]": "1"}),
        ("a[b=1", {"a[b": "1"}),
        ("a[b][c][d][e][f][g]=1", {"a": {"b": {"c": {"d": {"e": {"f": {"[g]": "1"}}}}}}}),
        ("__proto__[x]=1", {"__proto__": {"x": "1"}}),
        ("a=%", {"a": "%"}),
    ],
)
def test_parameters(text: str, expected: dict[str, Any]) -> None:
    assert parse(text.encode()) == expected


@pytest.mark.parametrize(
    ("raw", "status"), [(b"a=%ff", 400), (b"a=\xff", 400), (b"a&" * 1000, 413)]
)
def test_parameters_that_are_refused(raw: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as error:
        parse(raw)
    assert error.value.status == status


Color = Enum("Color", {"RED": "red"}, type=str)


class Level(StrEnum):
    NONE = ""
    HIGH = "high"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Literal["red", "blue"] | None, None),
        (Color | None, None),
        (Annotated[Literal["red"] | None, Field(description="x")], None),
        (Literal[1, 2] | None, None),
        (Literal["", "red"] | None, ""),
        (Level | None, Level.NONE),
        (str | None, ""),
        (Annotated[str, Field(max_length=3)] | None, ""),
        (Any, ""),
    ],
)
def test_an_empty_choice_is_absent_unless_it_may_be_empty(kind: Any, value: Any) -> None:
    model = create_model("Choice", __base__=Params, color=(kind, None))
    assert validator(model)({"color": ""}).model_dump() == {"color": value}


def test_an_empty_choice_that_is_needed_is_missing() -> None:
    model = create_model("Choice", __base__=Params, color=(Literal["red"], ...))
    with pytest.raises(BadRequest, match="color is required"):
        validator(model)({"color": ""})


@pytest.mark.parametrize("reply", [None, list[Todo], Todo])
def test_nested_rows_lie_in_rows_or_in_plain_values(reply: Any) -> None:
    with pytest.raises(ValueError, match="/t: tables= needs table=, or reply=dict if only those"):
        Routes().endpoint("/t", tables={"author": "author"}, reply=reply)
    for good in ({"table": "book"}, {"reply": dict}):
        Routes().endpoint("/t", tables={"author": "author"}, **good)
