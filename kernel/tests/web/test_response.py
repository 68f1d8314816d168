"""What could not be sent is refused where it is made."""

from __future__ import annotations

from typing import Any

import pytest

from bkjs.web import Response, Routes


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"body": "text"}, "the body of a Response is bytes, not str"),
        ({"body": {"a": 1}}, "the body of a Response is bytes, not dict"),
        ({"headers": {"location": "/x"}}, "a header of a Response is"),
        ({"headers": [("location", "/x")]}, "a header of a Response is"),
        ({"headers": ((b"location", b"/x", b""),)}, "a header of a Response is"),
    ],
)
def test_what_cannot_be_sent_is_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        Response(**arguments)
    assert Response(bytearray(b"x"), headers=[(b"location", b"/x")]).headers == (
        (b"location", b"/x"),
    )


@pytest.mark.parametrize("option", [{"owner": "author"}, {"navigable": True}])
def test_nobody_is_known_on_a_public_path(option: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="api-allow-anonymous=/x"):
        Routes().endpoint("/x", table="note", public=True, **option)
