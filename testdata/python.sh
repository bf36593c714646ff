#!/usr/bin/env bash
# Makes the virtual environment of the Django tests.
#
#   testdata/python.sh VENV REQUIREMENTS
#
# From the Python package index; where that cannot be reached, around a Django
# that some python3 of this machine already has; where there is none, it fails
# with the one command that helps. Django tests never skip.
set -euo pipefail

venv=$1 requirements=$2

say() { echo "testdata/python.sh: $*" >&2; }

# pythons lists the interpreters of this machine, the usual one first.
pythons() {
	local minor
	type -ap python3 || true
	for minor in 14 13 12 11 10 9; do
		type -ap "python3.$minor" || true
	done
}

from_index() {
	local python=$1
	"$python" -m venv --clear "$venv" &&
		"$venv/bin/python3" -m pip install --quiet --disable-pip-version-check \
			--retries 1 --timeout 20 -r "$requirements"
}

# django_of prints the folders that hold a Python's Django and what it imports.
django_of() {
	"$1" - <<-'PYTHON' 2>/dev/null
		import os, sys
		import asgiref, django, sqlparse
		if sys.version_info < (3, 9) or django.VERSION < (3, 2):
		    sys.exit(1)
		print(*sorted({os.path.dirname(m.__path__[0]) for m in (asgiref, django, sqlparse)}), sep="\n")
	PYTHON
}

# around borrows that Django by a .pth file, which also works when the Python is
# itself in a virtual environment, and when it came without ensurepip.
around() {
	local python=$1 folders=$2 site
	"$python" -m venv --clear --without-pip "$venv" &&
		site=$("$venv/bin/python3" -c 'import sysconfig; print(sysconfig.get_path("purelib"))') &&
		echo "$folders" >"$site/borrowed-django.pth"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT

mapfile -t found < <(pythons | awk '!seen[$0]++')
for python in "${found[@]}"; do
	"$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || continue
	if from_index "$python" 2>"$log"; then
		say "Django $("$venv/bin/python3" -m django --version) from the package index, in $venv"
		exit
	fi
	say "no Django from the package index: $(tail -n 1 "$log")"
	break
done
for python in "${found[@]}"; do
	if folders=$(django_of "$python") && around "$python" "$folders"; then
		say "Django $("$venv/bin/python3" -m django --version) of $python, borrowed by $venv"
		exit
	fi
done
rm -rf "$venv"
say "the tests need Django >= 3.2 and Python >= 3.9: run 'apt-get install python3-venv python3-django'"
exit 1
