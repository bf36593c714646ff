"""The configuration of a site, as a zygote gets it: the keys of a worker, and more."""

from .config import Config


class SiteConfig(Config):
    """The JSON object of a site in the commands of the control socket (zygoteConfig in Go)."""

    def __init__(self, values):
        super().__init__(values)
        umask = values.get("umask")
        self.values = values  # all of the JSON object
        self.site = values.get("site") or ""  # name
        self.worker = values.get("worker") or ""  # id of the worker or zygote
        self.supervisor = int(values["supervisor_pid"])
        self.env = values.get("env")  # the whole environment; None: unchanged
        self.umask = int(umask, 8) if umask else None  # None: unchanged
        self.warmup = values.get("warmup") or []  # paths
        self.warmup_learned = bool(values.get("warmup_learned"))  # visitors have decided which paths they are
        self.warmup_strict = bool(values.get("warmup_strict"))  # a failed warm-up request fails the start
        self.hosts = values.get("hosts") or "localhost"  # Host header of warm-up requests
        self.learned = values.get("learned") or ""  # file of the learning result; "": it is not cached
        self.learn = bool(values.get("learn"))  # whether other sites can share, so that learning is of use
