#!/bin/bash
# down.sh DIR: stop the cluster that up.sh started in DIR, and remove DIR.
set -euo pipefail

dir=$(realpath -m "${1:?usage: down.sh DIR}")
[ -e "$dir/ceph.conf" ] || exit 0

# Stop the gateway first: without its cluster it would take long to stop.
for name in rgw osd mon; do
	[ -e "$dir/$name.pid" ] || continue
	pid=$(cat "$dir/$name.pid")
	kill "$pid" 2>/dev/null || continue
	for _ in $(seq 50); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	kill -9 "$pid" 2>/dev/null || true
done
rm -rf "$dir"
