"""CouchDB as a database of bkjs."""

from bkjs import hookimpl


@hookimpl
def driver() -> type:
    """The driver's class, imported when a pool names it."""
    from bkjs_db_couchdb.database import CouchDbDriver

    return CouchDbDriver
