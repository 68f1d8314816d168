"""What a client chose stays marked on the ways that handlers use."""

from bkjs.lib.given import Given


def test_what_is_made_of_it_with_more_is_still_the_clients():
    given = Given({"a": 1, "b": 2})
    for made, content in (
        (given | {"b": 3}, {"a": 1, "b": 3}),
        ({"b": 3} | given, {"b": 2, "a": 1}),
        (given.copy(), {"a": 1, "b": 2}),
    ):
        assert type(made) is Given
        assert made == content
    assert given == {"a": 1, "b": 2}
    assert type({**given}) is dict
