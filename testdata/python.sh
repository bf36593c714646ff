#!/usr/bin/env bash
# Makes the virtual environment of the Django tests.
#
#   testdata/python.sh VENV REQUIREMENTS
#
# Django comes from the Python package index. If that cannot be reached, the
# environment borrows the Django of some python3 on this machine. If there is none,
# this script fails and names the command that helps. Django tests never skip.
set -euo pipefail

venv=$1 requirements=$2

say() { echo "testdata/python.sh: $*" >&2; }

# pythons lists the interpreters of this machine, python3 first.
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

# django_of prints the directories of Django and its dependencies in a Python.
django_of() {
	"$1" - <<-'PYTHON' 2>/dev/null
		import os, sys
		import asgiref, django, sqlparse
		if sys.version_info < (3, 9) or django.VERSION < (3, 2):
		    sys.exit(1)
		print(*sorted({os.path.dirname(m.__path__[0]) for m in (asgiref, django, sqlparse)}), sep="\n")
	PYTHON
}

# borrow makes an environment that finds another Python's Django by a .pth file. This
# also works if that Python is itself in a virtual environment or has no ensurepip.
borrow() {
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
	if folders=$(django_of "$python") && borrow "$python" "$folders"; then
		say "Django $("$venv/bin/python3" -m django --version) of $python, borrowed by $venv"
		exit
	fi
done
rm -rf "$venv"
say "the tests need Django >= 3.2 and Python >= 3.9: run 'apt-get install python3-venv python3-django'"
exit 1
