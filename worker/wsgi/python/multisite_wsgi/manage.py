"""`multisite manage SITE ...`: run a Django management command in the environment of the site's workers."""

import json
import os
import sys

from . import load
from .config import Config
from .log import SiteError


def main(config_json, arguments):
    """Run one management command; return the exit status of the process."""
    values = json.loads(config_json)
    config = Config(values)
    load.prepare(config)
    try:
        if not config.settings:
            load.load(config)  # the WSGI script or module sets DJANGO_SETTINGS_MODULE
        if "DJANGO_SETTINGS_MODULE" not in os.environ:
            raise SiteError("the site names no Django settings: set settings in sites.toml")
        from django.core.management import execute_from_command_line
    except (SiteError, ImportError) as error:
        sys.stderr.write("multisite: error: %s\n" % error)
        return 1
    execute_from_command_line(["multisite manage " + values["site"]] + arguments)
    return 0
