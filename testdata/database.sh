#!/usr/bin/env bash
# Makes the database of the Django test project: rows of both sites, and the user
# admin with the password admin. Tests copy it and point MULTISITE_DB at the copy.
#
#   testdata/database.sh PYTHON FILE
set -euo pipefail

python=$1 file=$2
manage=$(dirname "$0")/django/manage.py

# It is made under another name and renamed, so that an interrupted run leaves no incomplete file.
export MULTISITE_DB=$PWD/$file.new
rm -f "$MULTISITE_DB"
"$python" "$manage" migrate --verbosity 0
DJANGO_SUPERUSER_PASSWORD=admin "$python" "$manage" createsuperuser \
	--noinput --username admin --email admin@example.com --verbosity 0
mv "$MULTISITE_DB" "$file"
