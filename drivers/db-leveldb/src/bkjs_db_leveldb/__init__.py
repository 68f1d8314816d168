"""LevelDB as a database of bkjs."""

from bkjs import hookimpl
from bkjs.errors import StartError


@hookimpl
def driver() -> type:
    """The driver's class, imported when a pool names it."""
    try:
        from bkjs_db_leveldb.database import LevelDbDriver
    except ModuleNotFoundError as exc:
        if exc.name != "plyvel":
            raise
        raise StartError(
            "bkjs-db-leveldb: no plyvel, which has no wheel for this Python: "
            "apt-get install libleveldb-dev; pip install plyvel"
        ) from exc

    return LevelDbDriver
