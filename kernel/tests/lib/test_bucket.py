"""The token bucket: what it gives, and what nobody can do to it. More in web/server/test_limits."""

from bkjs.lib.bucket import TokenBucket


def test_nobody_gives_tokens_back():
    bucket = TokenBucket(1, 2, 1000, clock=lambda: 1.0)
    assert bucket.consume(-5)
    assert [bucket.consume() for _ in range(3)] == [True, True, False]


def test_a_bucket_goes_on_where_it_was_stored():
    now = 1.0
    bucket = TokenBucket(1, 3, 1000, clock=lambda: now)
    assert bucket.consume(3)
    for state in (bucket.to_list(), bucket.to_json()):
        again = TokenBucket.load(state, clock=lambda: now)
        assert (again.to_list(), again.consume()) == (bucket.to_list(), False)
    now = 2.0
    assert TokenBucket.load(bucket.to_list(), clock=lambda: now).consume()
