#!/bin/bash
# with.sh COMMAND...: run a command with the variables of a Ceph gateway. If the environment
# does not name one, start a gateway, and stop it after the command.
set -euo pipefail

here=$(dirname "$(realpath "$0")")
[ -z "${TEST_S3_ENDPOINT:-}" ] || exec "$@"

parent=$(mktemp -d "${TMPDIR:-/tmp}/rangefleet-ceph-XXXXXX")
stop() {
	"$here/down.sh" "$parent/ceph"
	rm -rf "$parent"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
if ! variables=$("$here/up.sh" "$parent/ceph"); then
	echo "The tests in test/ need Ceph. They install and start it as root on Debian or Ubuntu." >&2
	echo "Elsewhere, set TEST_S3_* (see test/ceph/up.sh), or run make test-unit." >&2
	exit 1
fi
# shellcheck disable=SC2086 # NAME=value words, one a line
export $variables
"$@"
