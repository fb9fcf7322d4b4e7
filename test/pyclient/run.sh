#!/bin/sh
# Runs the examples of the published Python client against a server.
#
#   run.sh <host> <access key id> <secret access key> <source uri> <namespace>
#
#   host        such as http://127.0.0.1:8000
#   source uri  a prefix with at least one object; objects must not change meanwhile
#   namespace   a URI under which each run creates one storage namespace
set -eu
if [ $# -ne 5 ]; then
	sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
# The secret is passed in the environment, since every user can read arguments.
RANGEFLEET_HOST=$1 RANGEFLEET_ACCESS_KEY_ID=$2 RANGEFLEET_SECRET_ACCESS_KEY=$3 \
	RANGEFLEET_SOURCE_URI=$4 RANGEFLEET_NAMESPACE=$5 \
	exec "$here/python.sh" "$here/examples.py"
