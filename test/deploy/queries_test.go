package deploy_test

import (
	"slices"
	"strings"
	"testing"
)

// quiet are metrics that stay at zero in the fleet of the test, and why.
var quiet = map[string]string{
	"rangefleet_access_reloads_total":                  "there is no access.file",
	"rangefleet_certificate_reloads_total":             "nobody replaces the certificate",
	"rangefleet_http_connections_evicted_total":        "there are few connections",
	"rangefleet_http_failed_logins_total":              "nobody logs in wrongly",
	"rangefleet_http_tls_handshakes_failed_total":      "clients speak TLS where they should",
	"rangefleet_lakefs_reachable":                      "the lakeFS server is gone from the start",
	"rangefleet_objectstore_connections_refused_total": "the store is where it should be",
	"rangefleet_objectstore_roles_assumed_total":       "there are no roles",
	"rangefleet_protocol_refused_total":                "all speak one version",
	"rangefleet_queue_full_total":                      "the queue takes a million",
	"rangefleet_records_broken":                        "nothing breaks records",
	"rangefleet_table_cache_bytes":                     "nobody looks anything up",
	"rangefleet_table_cache_reads_total":               "likewise",
}

// rare are metrics that may stay at zero there, and what it takes that they do not.
var rare = map[string]string{
	"rangefleet_fold_lag_covers":                "covers that are not taken in at once",
	"rangefleet_gaps_published_total":           "a lost partition that no worker lists to its end all the same",
	"rangefleet_nats_errors_total":              "an error that NATS tells of outside of any call",
	"rangefleet_objectstore_page_resizes_total": "a page that does not come in time",
	"rangefleet_queue_already_queued_total":     "a race of two coordinators",
	"rangefleet_queue_leases_acquired_total":    "a lease that is taken between two scrapes of one process",
	"rangefleet_queue_leases_lost_total":        "a coordinator that is late to renew a lease",
	"rangefleet_queue_stalls_total":             "a NATS server that delivers nothing",
	"rangefleet_readahead_restarts_total":       "pages that contradict each other",
	"rangefleet_trace_spans_dropped_total":      "more spans at once than wait for the collector",
}

// absent are metrics that have no series there, and why.
var absent = map[string]string{
	"rangefleet_lakefs_proxied_requests_total": "there is no lakeFS server to hand requests to",
}

// checkQueries checks that each query of the boards has had data: a value above zero, unless all that it
// shows may stay at zero.
func checkQueries(t *testing.T, p *prometheus) {
	t.Helper()
	checkExcuses(t, p)
	for name, query := range queriesOfBoards(t) {
		if excused(query, absent) {
			continue
		}
		greatest, found, err := p.greatest(t.Context(), query)
		if mayBeZero := excused(query, quiet) || excused(query, rare); err != nil || !found || greatest == 0 && !mayBeZero {
			t.Errorf("%s has no data: %s: %v", name, query, err)
		}
	}
}

// checkExcuses checks that each metric with an excuse exists, and is as quiet or absent as the excuse says.
func checkExcuses(t *testing.T, p *prometheus) {
	t.Helper()
	known := documented(t)
	for _, excuses := range []map[string]string{quiet, rare, absent} {
		for name := range excuses {
			if !known[name] {
				t.Errorf("%s is excused and does not exist", name)
			}
		}
	}
	for name := range absent {
		if _, found, err := p.greatest(t.Context(), name); err != nil || found {
			t.Errorf("%s is there: %t, %v; want it to be absent", name, found, err)
		}
	}
	for name := range quiet {
		if greatest, _, err := p.greatest(t.Context(), name); err != nil || greatest > 0 {
			t.Errorf("%s has been %v, %v; want 0", name, greatest, err)
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
