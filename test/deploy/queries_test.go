package deploy_test

import (
	"slices"
	"strings"
	"testing"
)

// quiet are metrics that the fleet of the test may leave at zero, and why. All others must count.
var quiet = map[string]string{
	"rangefleet_access_reloads_total":                  "there is no access.file",
	"rangefleet_certificate_reloads_total":             "nobody replaces the certificate",
	"rangefleet_fold_lag_covers":                       "covers are taken in at once",
	"rangefleet_http_connections_evicted_total":        "there are few connections",
	"rangefleet_http_failed_logins_total":              "nobody logs in wrongly",
	"rangefleet_http_requests_in_flight":               "requests are short",
	"rangefleet_http_tls_handshakes_failed_total":      "clients speak TLS where they should",
	"rangefleet_lakefs_reachable":                      "there is no lakeFS server",
	"rangefleet_nats_errors_total":                     "NATS permits all that is needed",
	"rangefleet_nats_storage_limit_bytes":              "the account has no limit",
	"rangefleet_nats_stream_leader":                    "no stream loses its leader for long",
	"rangefleet_nats_stream_replicas":                  "copies are soon up to date",
	"rangefleet_objectstore_connections_refused_total": "the store is where it should be",
	"rangefleet_objectstore_page_resizes_total":        "pages come in time",
	"rangefleet_objectstore_roles_assumed_total":       "there are no roles",
	"rangefleet_protocol_refused_total":                "all speak one version",
	"rangefleet_queue_already_queued_total":            "it takes a race",
	"rangefleet_queue_full_total":                      "the queue takes a million",
	"rangefleet_queue_stalls_total":                    "NATS delivers",
	"rangefleet_readahead_restarts_total":              "pages do not contradict each other",
	"rangefleet_records_broken":                        "nothing breaks records",
	"rangefleet_table_cache_bytes":                     "nobody looks anything up",
	"rangefleet_table_cache_reads_total":               "likewise",
	"rangefleet_fleet_partitions_redelivered":          "partitions are short",
	"rangefleet_gaps_published_total":                  "it takes lost partitions",
	"rangefleet_import_takeovers_total":                "it takes lost coordinators",
	"rangefleet_import_step_retries_total":             "it takes an error of a step",
	"rangefleet_worker_hand_overs_total":               "it takes idle workers",
	"rangefleet_queue_leases_acquired_total":           "coordinators took their leases before the first scrape",
	"rangefleet_queue_leases_lost_total":               "it takes a coordinator that hangs",
	"rangefleet_queue_redeliveries_total":              "it takes a worker that dies with a partition",
	"rangefleet_import_steps":                          "steps are short",
	"rangefleet_fleet_partitions":                      "queued partitions are soon received",
	"rangefleet_worker_partitions_given_up_total":      "it takes many tries",
	"rangefleet_nats_storage_used_bytes":               "the account has no limit",
}

// absent are metrics that have no series in the fleet of the test, and why.
var absent = map[string]string{
	"rangefleet_trace_spans_exported_total":              "there is no collector of traces",
	"rangefleet_trace_spans_dropped_total":               "likewise",
	"rangefleet_lakefs_proxied_requests_total":           "there is no lakeFS server",
	"rangefleet_lakefs_request_duration_seconds":         "likewise",
	"rangefleet_lakefs_requests_total":                   "likewise",
	"rangefleet_lakefs_reachable":                        "likewise",
	"rangefleet_credentials_not_after_timestamp_seconds": "there are neither roles nor JWTs",
	"rangefleet_nats_storage_limit_bytes":                "the account has no limit",
}

// tick removes the queries that have had data: a value above zero, unless the query may be quiet.
func (p *prometheus) tick(t *testing.T, queries map[string]string) {
	t.Helper()
	for name, query := range queries {
		greatest, found, err := p.greatest(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		if greatest > 0 || found && excused(query, quiet) {
			delete(queries, name)
		}
	}
}

// excused reports whether a query has a metric that has an excuse.
func excused(query string, excuses map[string]string) bool {
	expr, err := parse1(query)
	return err == nil && slices.ContainsFunc(metricsOf(expr), func(name string) bool { return excuses[family(name)] != "" })
}

// queriesOfBoards returns the queries of all boards for all fleets, by panel and legend.
func queriesOfBoards(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, b := range boards(t) {
		for _, panel := range b.Panels {
			for _, q := range panel.Targets {
				all[b.UID+", "+panel.Title+": "+q.LegendFormat] = everything.Replace(q.Expr)
			}
		}
	}
	return all
}

// everything chooses all jobs of all fleets.
var everything = strings.NewReplacer("$job", ".*", "$fleet", ".*", "$instance", ".*", "$__rate_interval", "5s")

// addresses returns where the metrics of the pods of a workload are.
func (c *cluster) addresses(name string, port int32) (all []string) {
	for _, pod := range c.pods[name] {
		all = append(all, pod.addresses[port])
	}
	return all
}
