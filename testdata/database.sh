#!/usr/bin/env bash
# Makes the article's database: both sites' rows, and the user admin with the
# password admin. Tests copy it and point MULTISITE_DB at the copy.
#
#   testdata/database.sh PYTHON FILE
set -euo pipefail

python=$1 file=$2
manage=$(dirname "$0")/django/manage.py

# Made under another name, so that an interrupted run leaves nothing half done.
export MULTISITE_DB=$PWD/$file.new
rm -f "$MULTISITE_DB"
"$python" "$manage" migrate --verbosity 0
DJANGO_SUPERUSER_PASSWORD=admin "$python" "$manage" createsuperuser \
	--noinput --username admin --email admin@example.com --verbosity 0
mv "$MULTISITE_DB" "$file"
