#!/bin/bash
# demo-watch.sh: run a fleet under the eyes of Prometheus, and an import during which a worker is killed.
#
# It needs Go, and Prometheus: on Debian, apt-get install prometheus. It prints where to look. On a
# terminal it goes on until Enter is pressed. Everything that it started and stored is then removed.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

command -v prometheus >/dev/null || {
	echo "demo-watch: there is no prometheus in the PATH; on Debian: apt-get install prometheus" >&2
	exit 1
}
work=$(mktemp -d "${TMPDIR:-/tmp}/rangefleet-watch-XXXXXX")
processes=()

finish() {
	local code=$?
	[ "$code" = 0 ] || tail -n 5 "$work"/*.log >&2 || true
	[ ${#processes[@]} = 0 ] || kill "${processes[@]}" 2>/dev/null || true
	wait 2>/dev/null || true
	rm -rf "$work"
	exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# run NAME COMMAND...: run a process until the end of the demo.
run() {
	"${@:2}" >"$work/$1.log" 2>&1 &
	processes+=("$!")
}

# serving URL: wait until it answers with 200.
serving() {
	for _ in $(seq 600); do
		curl -fs -o /dev/null "$1" && return
		sleep 0.2
	done
	echo "demo-watch: $1 does not answer" >&2
	return 1
}

echo "Building the programs."
go build -o "$work/bin/" ./cmd/...
go build -C bench -o "$work/bin/" ./cmd/synths3

unset "${!RANGEFLEET_@}" "${!RANGECTL_@}" # of another fleet
api=127.0.0.1:8300 nats=127.0.0.1:8301 store=127.0.0.1:8302 prometheus=127.0.0.1:8303
export RANGEFLEET_FLEET=demo RANGEFLEET_NATS_USER=demo RANGEFLEET_NATS_PASSWORD=demo-password
export RANGEFLEET_S3_ENDPOINT=http://$store RANGEFLEET_S3_FORCE_PATH_STYLE=true RANGEFLEET_S3_LISTING=parallel
export RANGEFLEET_S3_ACCESS_KEY_ID=demo RANGEFLEET_S3_SECRET_ACCESS_KEY=demo-secret

echo "Starting a store, a coordinator, three workers and Prometheus."
run store "$work/bin/synths3" -listen $store -latency 200ms -slowdown 0.02
RANGEFLEET_LISTEN=$api RANGEFLEET_WORKERS=0 RANGEFLEET_NATS_LISTEN=$nats RANGEFLEET_NATS_STORE_DIR=$work/nats \
	RANGEFLEET_AUTH_ACCESS_KEY_ID=demo RANGEFLEET_AUTH_SECRET_ACCESS_KEY=demo-secret run coordinator "$work/bin/coordinator"
export RANGEFLEET_NATS_URL=nats://$nats RANGEFLEET_WORKERS=2
for n in 4 5 6; do
	RANGEFLEET_METRICS_LISTEN=127.0.0.1:830$n run "worker-$n" "$work/bin/worker"
done
victim=${processes[-1]} # at 127.0.0.1:8306
cat >"$work/prometheus.yml" <<END
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [$PWD/deploy/prometheus/alerts.yml]
scrape_configs:
  - {job_name: rangefleet-coordinator, static_configs: [{targets: ["$api"]}]}
  - {job_name: rangefleet-worker, static_configs: [{targets: ["127.0.0.1:8304", "127.0.0.1:8305", "127.0.0.1:8306"]}]}
END
run prometheus prometheus --config.file "$work/prometheus.yml" --storage.tsdb.path "$work/metrics" --web.listen-address $prometheus
serving http://$api/_ready
serving http://$prometheus/-/ready

export RANGECTL_ENDPOINT=http://$api RANGECTL_ACCESS_KEY_ID=demo RANGECTL_SECRET_ACCESS_KEY=demo-secret
"$work/bin/rangectl" repo create lakefs://demo s3://ns/demo >/dev/null
echo "Importing a million objects. A worker is killed meanwhile."
run import "$work/bin/rangectl" import --from s3://uuid-1m/ --to lakefs://demo/main/objects/
import=${processes[-1]}

# value QUERY: what Prometheus answers.
value() {
	curl -fsG --data-urlencode "query=$1" http://$prometheus/api/v1/query |
		sed -E 's/.*"value":\[[^,]*,"([^"]*)".*/\1/; s/^\{.*/none/'
}

for _ in $(seq 150); do
	[ "$(value 'rangefleet_worker_objects_covered_total{instance="127.0.0.1:8306"} > 0')" = none ] || break
	sleep 0.2
done
kill -9 "$victim"
wait "$victim" 2>/dev/null || true
wait "$import"
sleep 2 # Prometheus scrapes the end

speed='rate(rangefleet_worker_objects_covered_total[5s])'
cat <<END

The import is completed, though a worker was killed:

  objects of the import       $(value 'sum(rangefleet_import_objects_total)')
  most objects a second       $(value "round(max_over_time(sum($speed)[5m:1s]))")
  processes that are gone     $(value 'count(up == 0)')
  partitions received again   $(value 'sum(rangefleet_queue_redeliveries_total)')
  alerts that fire            $(value 'count(ALERTS{alertstate="firing"}) or vector(0)')

Look at

  objects of each worker    http://$prometheus/graph?g0.expr=sum%20by%20(instance)%20(rate(rangefleet_worker_objects_covered_total%5B5s%5D))&g0.tab=0&g0.range_input=5m
  all alerts                http://$prometheus/alerts
  metrics of a coordinator  http://$api/metrics
  boards for a Grafana      deploy/grafana/*.json, with http://$prometheus as data source

docs/metrics.md explains the metrics, and docs/runbooks says what to do when an alert fires.
END
if [ -t 0 ]; then
	read -rp "Press Enter to end. " _
else
	echo "The demo ends now. On a terminal it goes on until you press Enter."
fi
