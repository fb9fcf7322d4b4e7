#!/bin/bash
# with.sh COMMAND...: run a command of tests, and then look for the secrets of the tests in what
# processes wrote meanwhile: logs, errors, metrics and audit logs. See internal/canary.
set -euo pipefail

root=$(dirname "$(realpath "$0")")/../..
[ -z "${TEST_SECRETS:-}" ] || exec "$@"

TEST_SECRETS=$(mktemp -d "${TMPDIR:-/tmp}/rangefleet-secrets-XXXXXX")
export TEST_SECRETS
trap 'rm -rf "$TEST_SECRETS"' EXIT
"$@"
cd "$root" && ${GO:-go} run ./internal/canary/check "$TEST_SECRETS"
