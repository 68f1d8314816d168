"""A database driver that keeps tables in files of JSON lines."""

from bkjs import hookimpl


@hookimpl
def driver() -> type:
    from acme_bkjs_db_jsonfile.database import JsonFileDriver

    return JsonFileDriver
