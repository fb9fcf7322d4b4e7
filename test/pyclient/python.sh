#!/bin/sh
# Runs the Python interpreter that has the published clients, with the given arguments.
#
# They are installed into .venv beside this file, and again when requirements.txt changes.
# PYTHON names an interpreter other than python3.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=$here/.venv
(
	flock 9 # tests run this at the same time
	if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
		rm -rf "$venv"
		"${PYTHON:-python3}" -m venv "$venv"
		"$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
		cp "$here/requirements.txt" "$venv/requirements.txt" # last: it marks the installation as complete
	fi
) 9<"$here/requirements.txt" >&2
exec "$venv/bin/python" -B "$@"
