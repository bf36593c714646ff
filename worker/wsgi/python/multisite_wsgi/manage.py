"""`multisite manage SITE ...`: Django's own manage.py machinery, set up as the site's workers are."""

import json
import os
import sys

from . import load
from .config import Config
from .report import SiteError


def main(config_json, arguments):
    """Run one management command; its exit status is the process's."""
    values = json.loads(config_json)
    config = Config(values)
    load.prepare(config)
    try:
        if not config.settings:
            load.load(config)  # the script or module names the settings, as WSGI scripts do
        if "DJANGO_SETTINGS_MODULE" not in os.environ:
            raise SiteError("the site names no Django settings: set settings in sites.toml")
        from django.core.management import execute_from_command_line
    except (SiteError, ImportError) as error:
        sys.stderr.write("multisite: error: %s\n" % error)
        return 1
    execute_from_command_line(["multisite manage " + values["site"]] + arguments)
    return 0
