import os

os.environ["PRETIX_PRETIX_URL"] = "http://site1.example.com"

from settings import *  # noqa: E402, F403
