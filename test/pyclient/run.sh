#!/bin/sh
# Runs the examples of the published Python client against a server.
#
#   run.sh <host> <access key id> <secret access key> <source uri> <namespace>
#
#   host        such as http://127.0.0.1:8000
#   source uri  a prefix with at least one object; objects must not change meanwhile
#   namespace   a URI under which each run creates one storage namespace
#
# The client is installed into .venv beside this file, and again when requirements.txt
# changes. PYTHON names an interpreter other than python3.
set -eu
if [ $# -ne 5 ]; then
	sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
venv=$here/.venv
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
	rm -rf "$venv"
	"${PYTHON:-python3}" -m venv "$venv"
	"$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
	cp "$here/requirements.txt" "$venv/requirements.txt" # last: it marks the installation as complete
fi
# The secret is passed in the environment, since every user can read arguments.
RANGEFLEET_HOST=$1 RANGEFLEET_ACCESS_KEY_ID=$2 RANGEFLEET_SECRET_ACCESS_KEY=$3 \
	RANGEFLEET_SOURCE_URI=$4 RANGEFLEET_NAMESPACE=$5 \
	exec "$venv/bin/python" -B "$here/examples.py"
