#!/bin/bash
# Fuzzes every fuzz target of every module for a while, four at a time. An input that fails is
# written to testdata/fuzz of its package: commit it with what mends it. The other files there reached
# new code in longer runs; `go test` tries them, too.
#
# An input that reaches new code is minimized by a hundred executions at most. By default that takes up
# to a minute for each, so that a target did nothing else in ten seconds.
#
# usage: test/fuzz/run.sh [TIME]
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
export FUZZTIME=${1:-10s}
LOGS=$(mktemp -d)
export LOGS
trap 'rm -rf "$LOGS"' EXIT

# targets prints the directory and the name of each.
targets() {
	git ls-files --cached --others --exclude-standard '*_test.go' | while read -r file; do
		sed -nE "s|^func (Fuzz[A-Z0-9_][A-Za-z0-9_]*)\(.*|$(dirname "$file") \1|p" "$file"
	done | sort
}

# over reports whether a run failed only because its time was over while Go's fuzzer was at work.
over() { grep -qx ' *context deadline exceeded' "$1" && ! grep -q 'Failing input' "$1"; }
export -f over

fuzz() {
	log=$LOGS/$(echo "$1.$2" | tr / _)
	if (cd "$1" && go test -run '^$' -fuzz "^$2\$" -fuzztime "$FUZZTIME" -fuzzminimizetime 100x -parallel 1 . >"$log" 2>&1) || over "$log"; then
		printf '%-60s %s\n' "$1 $2" "$(grep -o 'execs: [0-9]*' "$log" | tail -1)"
		return
	fi
	printf '%-60s FAILED\n' "$1 $2"
	tail -40 "$log"
	return 1
}
export -f fuzz

all=$(targets)
[ -n "$all" ] || { echo "no fuzz targets"; exit 1; }
xargs -P 4 -L 1 bash -c 'fuzz "$@"' fuzz <<<"$all"
echo "$(wc -l <<<"$all") targets, $FUZZTIME each"
