"""pretix as its package has it, with SQLite, and Redis for caches and sessions."""

import os

DATA = os.environ["BENCH_DATA"]
os.environ.update({
    "DATA_DIR": DATA,
    "PRETIX_DATABASE_NAME": DATA + "/db.sqlite3",
    "PRETIX_DJANGO_SECRET": "only-for-the-benchmark",
    "PRETIX_DJANGO_DEBUG": "false",
    "PRETIX_REDIS_LOCATION": "unix://%s/redis.sock?db=0" % DATA,
    "PRETIX_REDIS_SESSIONS": "true",
})

from pretix.settings import *  # noqa: E402, F403
