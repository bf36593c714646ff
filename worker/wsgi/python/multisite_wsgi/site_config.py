"""What a zygote is told about a site: the keys of a worker, and more."""

from .config import Config


class SiteConfig(Config):
    """The JSON object of a site in the commands of the control socket (zygoteConfig in Go)."""

    def __init__(self, values):
        super().__init__(values)
        umask = values.get("umask")
        self.values = values
        self.site = values.get("site") or ""
        self.worker = values.get("worker") or ""
        self.supervisor = int(values["supervisor_pid"])
        self.env = values.get("env")
        self.umask = int(umask, 8) if umask else None
        self.warmup = values.get("warmup") or []
        self.warmup_strict = bool(values.get("warmup_strict"))
        self.hosts = values.get("hosts") or "localhost"
        self.tricks = values.get("tricks") or []
        self.learned = values.get("learned") or ""
        self.learn = bool(values.get("learn"))
