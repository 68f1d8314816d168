"""Static files: what is found and what never is, what clients may keep, parts of files."""

import asyncio
import os
import re
from email.utils import formatdate

import pytest

from bkjs.auth.signature import sign
from bkjs.lib.patterns import to_regexp, to_regexp_obj
from bkjs.testing.web import scope_of
from bkjs.web.output import static

from ...harness import add_account

PAGE = b"<h1>hello</h1>"


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "home" / "web"
    (folder / "css").mkdir(parents=True)
    (folder / "js" / "own").mkdir(parents=True)
    (folder / "index.html").write_bytes(PAGE)
    (folder / "css" / "a.css").write_bytes(b"b{}")
    (folder / "js" / "digits.js").write_bytes(b"0123456789")
    (folder / "js" / "own" / "index.html").write_bytes(b"own")
    (folder / ".env.js").write_bytes(b"secret")
    (folder.parent / "outside.js").write_bytes(b"secret")
    os.utime(folder / "js" / "digits.js", (1_500_000_000, 1_500_000_000.5))
    return folder


@pytest.fixture
async def files(root, site):
    """`await files("/path")` with the settings `files.api`."""
    async with site(None, "-web-path", str(root)) as started:

        async def files(target, **options):
            return await started.ask(target, **options)

        files.app, files.api = started.app, started.app.config.api
        yield files


def ranged(text, **more):
    return {"headers": {"range": text, **more}}


async def test_a_file_comes_with_its_type_and_what_caches_need(files):
    reply = await files("/css/a.css")
    assert (reply.status, reply.body) == (200, b"b{}")
    assert reply.headers["content-type"] == "text/css; charset=utf-8"
    assert reply.headers["content-length"] == "3"
    assert reply.headers["cache-control"] == "public, max-age=3600"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["accept-ranges"] == "bytes"
    assert reply.headers["etag"].startswith('W/"3-')


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        ("woff2", "font/woff2"),
        ("PNG", "image/png"),
        ("mjs", "text/javascript; charset=utf-8"),
        ("svg", "image/svg+xml; charset=utf-8"),
        ("exe", "application/octet-stream"),
    ],
)
async def test_types_are_the_same_on_every_machine(files, root, suffix, kind):
    (root / "js" / f"x.{suffix}").touch()
    assert (await files(f"/js/x.{suffix}")).headers["content-type"] == kind


async def test_the_type_of_a_suffix_is_configurable(files):
    files.api.mime_map["css"] = "text/x-own"
    assert (await files("/css/a.css")).headers["content-type"] == "text/x-own; charset=utf-8"


async def test_a_directory_answers_with_its_index(files):
    assert (await files("/")).body == PAGE
    assert (await files("/js/own/")).body == b"own"
    reply = await files("/js/own?a=1")
    assert (reply.status, reply.headers["location"]) == (302, "/js/own/?a=1")
    assert (await files("/css/")).status == 404
    assert (await files("/css/a.css/")).status == 404


async def test_head_sends_the_headers_only(files):
    reply = await files("/css/a.css", method="HEAD")
    assert (reply.status, reply.body, reply.headers["content-length"]) == (200, b"", "3")


async def test_other_methods_and_missing_files_are_not_found(files):
    assert (await files("/js/digits.js", method="POST")).status == 404
    assert (await files("/js/none.js")).status == 404


async def test_no_static_serves_none(files):
    files.api.no_static = True
    assert (await files("/css/a.css")).status == 404


# -- what is never served ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/../outside.js",
        "/js/../../outside.js",
        "/%2e%2e/outside.js",
        "/..%2foutside.js",
        "/js/..%5c..%5coutside.js",
        "/..;/outside.js",
        "/js/digits.js%00.js",
        "//outside.js",
        "/.env.js",
        "/js/./digits.js",
        "/js/digits.js.",
        "/js/con.js",
        "/js/NUL",
        "/c:/x.js",
    ],
)
async def test_odd_paths_reach_no_file(files, path):
    reply = await files(path)
    assert reply.status in (400, 404, 417)
    assert b"secret" not in reply.body
    assert b"0123456789" not in reply.body


async def test_links_lead_to_files_below_the_folder_only(files, root):
    (root / "js" / "in.js").symlink_to(root / "css" / "a.css")
    (root / "js" / "out.js").symlink_to(root.parent / "outside.js")
    (root / "js" / "up").symlink_to(root.parent)
    assert (await files("/js/in.js")).body == b"b{}"
    assert (await files("/js/out.js")).status == 404
    assert (await files("/js/up/outside.js")).status == 404


async def test_a_folder_with_a_longer_name_is_another_folder(files, root):
    sibling = root.parent / "web2"
    sibling.mkdir()
    (sibling / "a.js").write_bytes(b"secret")
    (root / "js" / "a.js").symlink_to(sibling / "a.js")
    assert (await files("/js/a.js")).status == 404


async def test_pipes_are_no_files_and_block_nobody(files, root):
    os.mkfifo(root / "js" / "pipe.js")
    assert (await asyncio.wait_for(files("/js/pipe.js"), 5)).status == 404


async def test_hidden_files_can_be_allowed(files):
    for setting in (False, "ignore", "deny"):
        files.api.static_options["dotfiles"] = setting
        assert (await files("/.env.js")).status == 404
    files.api.static_options["dotfiles"] = "allow"
    assert (await files("/.env.js")).status == 200


# -- where files are --------------------------------------------------------------------------


async def test_the_first_folder_that_has_a_file_wins(files, tmp_path):
    other = tmp_path / "other"
    (other / "css").mkdir(parents=True)
    (other / "css" / "a.css").write_bytes(b"other")
    (other / "css" / "b.css").write_bytes(b"b")
    files.app.config.core.path["web"].append(str(other))
    assert (await files("/css/a.css")).body == b"b{}"
    assert (await files("/css/b.css")).body == b"b"


async def test_mounted_folders_go_first_the_longest_path_before_others(files, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.js").write_text(name)
    files.app.web.mount_static("/css", tmp_path / "one")
    files.app.web.mount_static("/css/deep/", tmp_path / "two")
    assert (await files("/css/x.js")).body == b"one"
    assert (await files("/css/deep/x.js")).body == b"two"
    assert (await files("/css/a.css")).body == b"b{}"
    assert (await files("/cssx.js")).status == 404


async def test_a_mounted_folder_that_is_not_there_is_told(files, tmp_path, caplog):
    (tmp_path / "there").mkdir()
    files.app.web.mount_static("/public", tmp_path / "there")
    assert caplog.text == ""
    files.app.web.mount_static("/public", "nofolder")
    assert re.search(r"/public: no folder /.*/nofolder, so nothing", caplog.text)


async def test_virtual_hosts_have_folders_of_their_own(files, root):
    for name in ("shop", "rest"):
        (root / name / "js").mkdir(parents=True)
        (root / name / "js" / "x.js").write_text(name)
    vhosts = {"shop": r"(^|\.)shop\.com$", "rest": r"!^h\.com$"}
    files.api.vhost_path = {name: to_regexp(source, "i") for name, source in vhosts.items()}
    assert (await files("/js/x.js", headers={"host": "WWW.shop.com:80"})).body == b"shop"
    assert (await files("/js/x.js", headers={"host": "other.org"})).body == b"rest"
    assert (await files("/js/x.js")).status == 404
    assert (await files("/js/digits.js", headers={"host": "shop.com"})).status == 404
    files.api.no_vhost_path = to_regexp_obj(None, "^/js/digits")
    assert (await files("/js/digits.js", headers={"host": "shop.com"})).status == 200


# -- what clients keep ------------------------------------------------------------------------


async def test_a_known_file_is_not_sent_again(files):
    tag = (await files("/js/digits.js")).headers["etag"]
    for known in (tag, tag.removeprefix("W/"), f'"x", {tag}', "*"):
        reply = await files("/js/digits.js", headers={"if-none-match": known})
        assert (reply.status, reply.body) == (304, b"")
        assert reply.headers["etag"] == tag
        assert "content-length" not in reply.headers
    assert (await files("/js/digits.js", headers={"if-none-match": '"x"'})).status == 200


@pytest.mark.parametrize(
    ("date", "status"),
    [
        (formatdate(1_500_000_000, usegmt=True), 304),
        (formatdate(1_600_000_000, usegmt=True), 304),
        (formatdate(1_400_000_000, usegmt=True), 200),
        ("yesterday", 200),
        ("Fri, 14 Jul 99999 02:40:00 GMT", 200),
    ],
)
async def test_a_file_that_did_not_change_since_is_not_sent_again(files, date, status):
    reply = await files("/js/digits.js", headers={"if-modified-since": date})
    assert reply.status == status


async def test_a_tag_decides_before_a_date(files):
    headers = {"if-none-match": '"x"', "if-modified-since": formatdate(usegmt=True)}
    assert (await files("/js/digits.js", headers=headers)).status == 200


async def test_a_change_changes_the_tag(files, root):
    before = (await files("/js/digits.js")).headers["etag"]
    os.utime(root / "js" / "digits.js", (1, 1))
    assert (await files("/js/digits.js")).headers["etag"] != before


async def test_files_can_be_excluded_from_caches(files):
    files.api.no_cache_files = to_regexp_obj(None, r"\.html$")
    for path in ("/", "/index.html"):
        assert (await files(path)).headers["cache-control"] == "max-age=0, no-cache, no-store"
    assert (await files("/css/a.css")).headers["cache-control"] == "public, max-age=3600"


@pytest.mark.parametrize(("age", "seconds"), [("90000", 90), ("soon", 0), (-1, 0), (None, 0)])
async def test_an_age_that_is_no_number_is_none(files, age, seconds):
    files.api.static_options = {"max-age": age}
    reply = await files("/css/a.css")
    assert reply.headers["cache-control"] == f"public, max-age={seconds}"


async def test_a_file_that_needs_an_account_stays_out_of_shared_caches(files, root):
    (root / "plan.txt").write_bytes(b"plan")
    await add_account(files.app, "u")
    assert (await files("/plan.txt")).status == 417
    signed = sign("u", "k", "GET", "/plan.txt", host="h.com")
    reply = await files("/plan.txt", headers=signed)
    assert (reply.status, reply.body) == (200, b"plan")
    assert reply.headers["cache-control"] == "private, max-age=3600"


# -- parts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "body", "where"),
    [
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
        ("bytes=0-0", b"0", "bytes 0-0/10"),
    ],
)
async def test_a_part_of_a_file(files, wanted, body, where):
    reply = await files("/js/digits.js", **ranged(wanted))
    assert (reply.status, reply.body) == (206, body)
    assert reply.headers["content-range"] == where
    assert reply.headers["content-length"] == str(len(body))


@pytest.mark.parametrize(
    "wanted",
    ["bytes=4-2", "bytes=-", "bytes=a-b", "lines=0-1", "0-1", "bytes=0-1,3-4",
     "bytes=" + "0-," * 2000, "bytes=" + "9" * 4000 + "-"],
)  # fmt: skip
async def test_odd_or_several_parts_are_the_whole_file(files, wanted):
    reply = await files("/js/digits.js", **ranged(wanted))
    assert (reply.status, reply.body) == (200, b"0123456789")


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=99-100", "bytes=-0"])
async def test_a_part_beyond_the_end_is_refused(files, wanted):
    reply = await files("/js/digits.js", **ranged(wanted))
    assert (reply.status, reply.body) == (416, b"")
    assert reply.headers["content-range"] == "bytes */10"


async def test_a_part_is_sent_only_of_the_version_that_the_client_has(files):
    seen = (await files("/js/digits.js")).headers
    same = await files(
        "/js/digits.js", **ranged("bytes=1-2", **{"if-range": seen["last-modified"]})
    )
    assert (same.status, same.body) == (206, b"12")
    for other in (formatdate(1, usegmt=True), seen["etag"], "x"):
        reply = await files("/js/digits.js", **ranged("bytes=1-2", **{"if-range": other}))
        assert reply.status == 200


# -- large files ------------------------------------------------------------------------------


async def test_a_large_file_is_read_in_pieces_outside_the_loop(files, root, monkeypatch):
    content = os.urandom(static.CHUNK * 2 + 17)
    (root / "js" / "big.js").write_bytes(content)
    sizes = []
    to_thread = asyncio.to_thread

    async def counted(fn, *args):
        data = await to_thread(fn, *args)
        sizes.append(len(data))
        return data

    monkeypatch.setattr(asyncio, "to_thread", counted)
    assert (await files("/js/big.js")).body == content
    assert sizes == [static.CHUNK, static.CHUNK, 17]
    part = await files("/js/big.js", **ranged("bytes=5-"))
    assert part.body == content[5:]


async def test_nothing_more_is_read_when_the_client_is_gone(files, root):
    (root / "js" / "big.js").write_bytes(bytes(static.CHUNK * 20))
    req = files.app.web.handle.request(scope_of("/js/big.js", "GET", {}), _gone)
    sent = []

    async def send(message):
        sent.append(message)
        await asyncio.sleep(0)

    await files.app.web.static.find(req).send(req, send, [])
    assert len(sent) < 5


async def _gone():
    return {"type": "http.disconnect"}


async def test_a_file_that_shrinks_while_it_is_sent_breaks_the_answer(files, root):
    file = root / "js" / "digits.js"
    file.write_bytes(bytes(static.CHUNK + 1))
    req = files.app.web.handle.request(scope_of("/js/digits.js", "GET", {}), _gone)
    reply = files.app.web.static.find(req)
    file.write_bytes(b"")

    async def send(message):
        pass

    with pytest.raises(OSError, match="shorter"):
        await reply.send(req, send, [])


async def test_no_file_stays_open(files):
    before = os.listdir("/dev/fd")
    for headers in ({}, {"if-none-match": "*"}, {"range": "bytes=99-"}):
        for method in ("GET", "HEAD"):
            await files("/js/digits.js", method=method, headers=headers)
    assert os.listdir("/dev/fd") == before


# -- files that are known -------------------------------------------------------------------------


@pytest.fixture
def looked(monkeypatch):
    """The folders and files whose place was worked out."""
    found, inside = [], static._inside
    monkeypatch.setattr(static, "_inside", lambda *where: found.append(where) or inside(*where))
    return found


async def test_a_known_file_is_opened_where_it_lies(files, looked):
    for path in ("/css/a.css", "/", "/js/own/"):
        first = await files(path)
        assert looked
        looked.clear()
        again = await files(path)
        assert (again.status, again.body, again.headers) == (200, first.body, first.headers)
        assert (await files(path, headers={"if-none-match": first.headers["etag"]})).status == 304
        assert looked == []


def swapped(root, away):
    """Its folder lies elsewhere and is a link: the file is the same one."""
    (root / "css").rename(away / "css")
    (root / "css").symlink_to(away / "css")


def linked(root, away):
    (root / "css" / "a.css").rename(away / "a.css")
    (root / "css" / "a.css").symlink_to(away / "a.css")


def replaced(root, away):
    (away / "new").write_bytes(b"new")
    (away / "new").rename(root / "css" / "a.css")


@pytest.mark.parametrize(
    ("change", "status", "body"),
    [
        (lambda root, away: (root / "css" / "a.css").write_bytes(b"changed"), 200, b"changed"),
        (replaced, 200, b"new"),
        (lambda root, away: (root / "css" / "a.css").unlink(), 404, b""),
        (lambda root, away: (root / "css").rename(away / "css"), 404, b""),
        (linked, 404, b""),
        (swapped, 404, b""),
    ],
    ids=["changed", "replaced", "removed", "no folder", "link", "linked folder"],
)
async def test_what_changes_is_seen_at_the_next_request(
    files, root, tmp_path, change, status, body
):
    (tmp_path / "away").mkdir()
    first = await files("/css/a.css")
    assert (await files("/css/a.css")).body == first.body == b"b{}"
    change(root, tmp_path / "away")
    reply = await files("/css/a.css")
    assert reply.status == status
    assert status == 404 or (reply.body, reply.headers["etag"]) != (body, first.headers["etag"])
    assert status == 404 or reply.body == body


async def test_a_folder_that_is_a_link_may_lead_elsewhere_tomorrow(files, root, tmp_path, looked):
    """As releases are switched; a file that is reached by links is known as well."""
    for release in ("one", "two"):
        (tmp_path / release).mkdir()
        (tmp_path / release / "a.js").write_text(release)
        (tmp_path / release / "b.js").symlink_to("a.js")
    current = tmp_path / "current"
    current.symlink_to("one")
    files.app.web.mount_static("/app", current)
    for release in ("one", "two"):
        for path in ("/app/a.js", "/app/b.js"):
            assert (await files(path)).body == release.encode()
            looked.clear()
            assert (await files(path)).body == release.encode()
            assert looked == []
        current.unlink()
        current.symlink_to("two")
    # the same file, but no longer below the folder
    (tmp_path / "three").mkdir()
    (tmp_path / "three" / "a.js").symlink_to(tmp_path / "two" / "a.js")
    current.unlink()
    current.symlink_to("three")
    assert (await files("/app/a.js")).status == 404


async def test_a_link_to_another_file_is_another_file(files, root):
    link = root / "js" / "in.js"
    link.symlink_to(root / "css" / "a.css")
    for _ in range(2):
        assert (await files("/js/in.js")).body == b"b{}"
    link.unlink()
    link.symlink_to("digits.js")
    assert (await files("/js/in.js")).body == b"0123456789"


async def test_a_file_that_comes_into_a_folder_before_goes_first(files, root, tmp_path):
    (tmp_path / "first").mkdir()
    files.app.web.mount_static("/css", tmp_path / "first")
    for _ in range(2):
        assert (await files("/css/a.css")).body == b"b{}"
    (tmp_path / "first" / "a.css").write_bytes(b"first")
    assert (await files("/css/a.css")).body == b"first"


async def test_where_the_system_does_not_tell_places_they_are_worked_out(
    files, looked, monkeypatch
):
    def readlink(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(os, "readlink", readlink)
    for _ in range(2):
        assert (await files("/css/a.css")).status == 200
        assert looked
        looked.clear()


async def test_no_more_files_are_known_than_fit(files, root, monkeypatch):
    files.app.web.static._kept.limit = 2
    for name in "abcd":
        (root / "js" / f"{name}.js").write_text(name)
        assert (await files(f"/js/{name}.js")).body == name.encode()
    deep = root / ("x" * 200) / ("y" * 200)
    deep.mkdir(parents=True)
    (deep / "z.js").write_text("z")
    assert (await files(f"/{'x' * 200}/{'y' * 200}/z.js")).status == 200
    assert [way for _, way in files.app.web.static._kept] == ["js/c.js", "js/d.js"]
