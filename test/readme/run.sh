#!/bin/bash
# run.sh [FILE]: run the commands in a document (README.md by default).
#
# Runs each fenced block that follows a line "<!-- run -->". All blocks run in one shell, as if
# a reader pasted them, so that variables and background processes of one block exist in the
# next. After "<!-- run, prints: REGEX -->" the output of the block must match. The working
# directory is a copy of the files that git tracks.
set -euo pipefail

repository=$(git -C "$(dirname "$(realpath "$0")")" rev-parse --show-toplevel)
document=$(realpath "${1:-$repository/README.md}")
work=$(mktemp -d "${TMPDIR:-/tmp}/rangefleet-readme-XXXXXX")

finish() {
	local code=$? pids
	exec 1>&8 2>&9 # the tee of a failed block ends only when this end of its pipe is closed
	pids=$(jobs -p)
	# shellcheck disable=SC2086 # process IDs
	if [ -n "$pids" ]; then
		kill $pids 2>/dev/null || true
		wait $pids || true
	fi
	rm -rf "$work"
	exit "$code"
}
exec 8>&1 9>&2
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mkdir "$work/blocks" "$work/clone"
awk -v dir="$work/blocks" '
	/^<!-- run/ {
		n++; pending = 1; expected = ""
		if (match($0, /prints: .* -->$/)) expected = substr($0, RSTART + 8, RLENGTH - 12)
		print expected > (dir "/" n ".prints")
		next
	}
	/^```/ && inside { inside = 0; next }
	/^```/ && pending { inside = 1; pending = 0; next }
	inside { print > (dir "/" n ".sh") }
	END { if (!n || inside || pending) { print "run.sh: no block to run, or an unfinished one" > "/dev/stderr"; exit 1 } }
' "$document"

git -C "$repository" ls-files -z --cached --others --exclude-standard |
	(cd "$repository" && tar --null --ignore-failed-read -cf - -T -) | tar -xf - -C "$work/clone"
cd "$work/clone"

blocks=$(find "$work/blocks" -name '*.sh' | sort -V)
for block in $blocks; do
	sed 's/^/+ /' "$block"
	output=${block%.sh}.out
	exec > >(tee "$output" >&8) 2>&1
	begun=$SECONDS
	# shellcheck source=/dev/null
	. "$block" </dev/null
	exec 1>&8 2>&9
	pattern=$(cat "${block%.sh}.prints")
	for try in $(seq 50); do # tee may be behind
		grep -Eq -- "$pattern" "$output" && break
		if [ "$try" = 50 ]; then
			echo "run.sh: the output does not match: $pattern" >&2
			exit 1
		fi
		sleep 0.1
	done
	echo "+ took $((SECONDS - begun)) s"
done
