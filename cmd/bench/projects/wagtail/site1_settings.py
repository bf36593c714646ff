from settings import *  # noqa: F403

SITE_TITLE = "Site 1"
