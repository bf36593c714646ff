"""Close what libraries have open where that loses nothing: they open it again when it is next used.

Each closer closes one object if it is idle, and returns how many connections (or
clients, or pools) that has closed. Nothing is imported: what the application has not
loaded it has not opened. Names that begin with an underscore are private to a library,
so each closer is tried, and what it could not close is a hazard as before.
"""

import gc
import sys
import threading
import time


class Closer:
    """Closes the objects of one type, which status calls what."""

    def __init__(self, module, kind, what, close, reopen=None):
        self._module = module
        self._kind = kind  # name of the type, of which there may be derived ones
        self.what = what
        self.close = close
        self.reopen = reopen  # for what does not open itself again; None: nothing has to be done

    def type(self):
        """Return the type; None: its module is not loaded."""
        found = getattr(sys.modules.get(self._module), self._kind, None)
        return found if isinstance(found, type) else None


def _redis(connection):
    """Both pools and clients connect it again, and a PubSub subscribes again."""
    opened = connection._sock is not None
    connection.disconnect()
    return int(opened)


def _redis_cache(connection):
    """It empties its cache, too: nobody would keep that up to date for the child of a fork."""
    opened = connection._conn._sock is not None
    connection.disconnect()
    return int(opened)


def _sqlalchemy(engine):
    """A database in memory would be lost; connections that are in use stay open."""
    pool = engine.pool
    if engine.dialect.is_async or type(pool).__name__ in ("SingletonThreadPool", "StaticPool"):
        return 0
    if engine.dialect.name == "sqlite" and (not engine.url.database or "memory" in str(engine.url)):
        return 0
    opened = pool.checkedin() if hasattr(pool, "checkedin") else 0
    if opened:
        engine.dispose()
    return opened


def _psycopg_pool(pool):
    if pool.closed or not hasattr(pool, "_opened"):
        return 0
    pool.close()
    return 1


def _reopen_psycopg_pool(pool):
    pool._opened = False  # else open() refuses a pool that was closed
    pool.open()


def _http(connection):
    """After a response that was read, the next request connects again; else the socket may be used in another way."""
    response = connection._HTTPConnection__response
    if connection.sock is None or connection._HTTPConnection__state != "Idle":
        return 0
    if response is None or not response.isclosed() or response.status == 101:  # the protocol was changed
        return 0
    connection.close()
    return 1


def _httpcore(pool):
    connections = pool.connections
    if not connections or not all(connection.is_idle() for connection in connections):
        return 0
    pool.close()
    return len(connections)


def _pymongo(client):
    """A child of a fork has a new topology, made by pymongo's own handler; without that a closed client stays closed."""
    if not hasattr(client, "_after_fork") or not client._opened or client._encrypter:
        return 0
    client.close()
    deadline = time.monotonic() + 2  # its threads look twice a second whether they are to stop
    for thread in threading.enumerate():
        if thread.name.startswith("pymongo_"):  # or it is one of another client, which goes on
            thread.join(max(0, deadline - time.monotonic()))
    return 1


CLOSERS = (
    Closer("redis.connection", "CacheProxyConnection", "redis connection", _redis_cache),  # before what it wraps
    Closer("redis.connection", "AbstractConnection", "redis connection", _redis),
    Closer("redis.connection", "Connection", "redis connection", _redis),  # before redis-py 4.5
    Closer("sqlalchemy.engine.base", "Engine", "SQLAlchemy connection", _sqlalchemy),
    Closer("psycopg_pool.pool", "ConnectionPool", "psycopg pool", _psycopg_pool, _reopen_psycopg_pool),
    Closer("http.client", "HTTPConnection", "HTTP connection", _http),  # of requests, urllib3 and botocore too
    Closer("httpcore", "ConnectionPool", "HTTP connection", _httpcore),  # of httpx
    Closer("pymongo", "MongoClient", "MongoDB client", _pymongo, lambda client: client._after_fork()),
)


def foreign_threads():
    """Return the threads that no closer ends.

    With them a process is not fork-safe, and they may be using what would be closed.
    """
    def is_of_library(thread):
        module = str(getattr(getattr(thread, "_target", None), "__module__", ""))
        return thread.name.startswith("pymongo_") or module.partition(".")[0] == "psycopg_pool"
    return [thread for thread in threading.enumerate()
            if thread is not threading.main_thread() and not is_of_library(thread)]


def find():
    """Return [(closer, object)...] of all objects that have a closer, in the order of CLOSERS."""
    kinds = {}  # {id of a type: closer}; not the type itself, which an odd metaclass could make unhashable
    for closer in CLOSERS:
        for kind in _with_derived(closer.type()):
            kinds.setdefault(id(kind), closer)
    if not kinds:
        return []
    # type() and not isinstance(), which would load what a lazy proxy stands for
    found = [(kinds[id(type(thing))], thing) for thing in gc.get_objects() if id(type(thing)) in kinds]
    return sorted(found, key=lambda pair: CLOSERS.index(pair[0]))


def _with_derived(kind):
    """Return a type and all that are derived from it."""
    if kind is None:
        return []
    return [kind] + [derived for child in type.__subclasses__(kind) for derived in _with_derived(child)]
