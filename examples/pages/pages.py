"""Notes with photos for a page in a browser: sign-in by session, upload, files of their owner."""

import shutil
from pathlib import Path

from bkjs import hookimpl
from bkjs.db import Tables
from bkjs.errors import BadRequest, NotFound
from bkjs.web import Field, Params, Request, Response, Routes, Web

TABLES: Tables = {
    "note": {"id": {"type": "uuid", "primary": 1}, "owner": {}, "text": {}, "photo": {}}
}
KINDS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
routes = Routes()


class New(Params):
    text: str = Field(min_length=1, max_length=1000)


class Key(Params):
    id: str


routes.verb("/note/add", "note", params=New, owner="owner")
routes.verb("/note/select", "note", owner="owner")
routes.verb("/note/del", "note", params=Key, owner="owner")


@routes.endpoint("/note/photo/put", writes=True, reply=dict, limit=5_000_000)
async def put_photo(req: Request) -> dict[str, str]:
    """Store the file `photo` of a multipart form for the note `id`."""
    upload, note = req.files.get("photo"), await own_note(req, req.query.get("id"))
    if upload is None:
        raise BadRequest("photo is required", field="photo")
    with upload.path.open("rb") as file:
        start = file.read(8)
    kind = next((kind for sign, kind in KINDS.items() if start.startswith(sign)), "")
    if not kind:  # what the client says of its type counts for nothing
        raise BadRequest("a photo is PNG or JPEG", field="photo")
    shutil.move(upload.path, photo_of(req, note["id"]))
    await req.app.db.update("note", {"id": note["id"], "photo": kind})
    return {"photo": kind}


@routes.endpoint("/note/photo", params=Key)
async def get_photo(req: Request, key: Key) -> Response:
    """The photo of a note, for its owner."""
    note = await own_note(req, key.id)
    if not note.get("photo"):
        raise NotFound("this note has no photo")
    body = photo_of(req, note["id"]).read_bytes()
    return Response(body, 200, note["photo"], [(b"cache-control", b"private, max-age=60")])


async def own_note(req: Request, id: object) -> dict[str, str]:
    note = await req.app.db.get("note", {"id": id}) if isinstance(id, str) else None
    if note is None or note["owner"] != req.account["id"]:
        raise NotFound("no such note")  # as if those of others were not there
    return note


def photo_of(req: Request, id: str) -> Path:
    """Where a photo lies: under the id that the database made, not a name that somebody sent."""
    folder: Path = req.app.home / req.app.config.core.path["files"]
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"note-{id}"


@hookimpl
def tables() -> Tables:
    return TABLES


@hookimpl
def configure_web(web: Web) -> None:
    web.add(routes)
    web.mount_static("/public", Path(__file__).parent / "public")
