package main

// overview tells whether fleets are well, and what they do.
func overview() board {
	return board{
		uid: "rangefleet-overview", title: "Rangefleet / Overview",
		about: "Is each fleet well, and what does it do? The runbooks of the alerts, and docs/operating.md, say what to do.",
		rows: []row{
			{"Is it well?", wellStats()},
			{"What runs", []panel{
				stat("Imports running", "Imports that are listed or committed now.", "short", `sum(max by (fleet, state) (rangefleet_fleet_imports{state=~"running|committing"}))`),
				stat("Objects a second", "Objects in ranges that are stored.", "ops", `sum(rate(rangefleet_worker_objects_covered_total{}[$__rate_interval]))`),
				stat("Partitions queued", "Partitions that wait for a worker.", "short", `sum(max by (fleet) (rangefleet_fleet_partitions{state="queued"}))`),
				stat("Workers wanted", "Workers that would list in a minute what is left of all imports.", "short", `sum(rangefleet_wanted_workers{})`),
				stat("Last success", "How long ago an import was completed, of those that are kept.", "s", `time() - max(rangefleet_import_last_success_timestamp_seconds{} > 0)`),
				stat("Failed within a day", "Failed imports that are kept, which is for a day.", "short", `sum(max by (fleet) (rangefleet_fleet_imports{state="failed"}))`).warns(1, 10),
			}},
			{"Imports", importGraphs()},
			{"API", []panel{
				graph("Requests", "Requests that were answered, by the part of the API and the class of the status.", "reqps", rate("{{api}} {{code}}", "rangefleet_http_requests_total{}", "api, code")),
				graph("Time of requests", "From a request's header to its answer, by the part of the API.", "s", times("{{api}} ", "rangefleet_http_request_duration_seconds", "api, ")...).withExemplars(),
				graph("Requests in flight", "Requests that are being served by a process.", "short", query{"{{instance}}", `rangefleet_http_requests_in_flight{}`}),
			}},
		},
	}
}

func wellStats() []panel {
	yes := map[string]string{"0": "no", "1": "yes"}
	return []panel{
		stat("Alerts", "Alerts that fire now. Each names its runbook.", "short", alertsFiring).warns(1, 5),
		stat("Coordinators", "Coordinators that are alive, of all fleets.", "short", `sum(max by (fleet) (rangefleet_fleet_coordinators{}))`).needsAny(),
		stat("Workers", "Processes that list, of all fleets.", "short", `count(rangefleet_worker_slots{lane="bulk"})`).needsAny(),
		stat("NATS answers", "Whether all processes have a connection to NATS, and answers.", "short",
			`min(rangefleet_nats_connected{} * rangefleet_nats_responding{})`).says(yes).needsAny(),
		stat("No progress for", "The longest time that an import which is driven has got no further.", "s", `max(rangefleet_import_oldest_progress_age_seconds{})`).warns(120, 600),
		stat("Failing calls to stores", "Share of the calls to object stores that did not succeed.", "percentunit",
			`sum(rate(rangefleet_objectstore_requests_total{code=~"error|timeout|throttled|refused|bad_listing"}[$__rate_interval])) / sum(rate(rangefleet_objectstore_requests_total{code!="canceled"}[$__rate_interval]))`).warns(0.05, 0.2),
	}
}

func importGraphs() []panel {
	return []panel{
		graph("Imports by state", "Imports that run, and those of the last day. All coordinators of a fleet show the same.", "short",
			query{"{{fleet}} {{state}}", `max by (fleet, state) (rangefleet_fleet_imports{})`}),
		graph("Imports started and ended", "Imports in an interval of the graph.", "short",
			query{"started", `sum(increase(rangefleet_imports_started_total{}[$__rate_interval]))`},
			query{"{{outcome}}", `sum by (outcome) (increase(rangefleet_imports_finished_total{}[$__rate_interval]))`}),
		graph("Duration of imports", "From the request to the commit, of imports that completed.", "s", times("", "rangefleet_import_duration_seconds", "")...).withExemplars(),
		graph("Objects", "Objects that stores listed, those in stored ranges, and those of imports that completed.", "ops",
			total("listed", "rangefleet_objectstore_objects_listed_total{}"), total("in ranges", "rangefleet_worker_objects_covered_total{}"), total("completed", "rangefleet_import_objects_total{}")),
		graph("Workers", "Workers that are there, that wait, and that would list in a minute what is left.", "short",
			query{"there", `count(rangefleet_worker_slots{lane="bulk"})`},
			query{"waiting", `sum(max by (fleet) (rangefleet_fleet_workers_waiting{}))`},
			query{"wanted", `sum(rangefleet_wanted_workers{})`}),
		graph("Slots", "Partitions that are worked on, and how many that may be.", "short",
			query{"busy, {{lane}}", `sum by (lane) (rangefleet_worker_slots_busy{})`}, query{"all, {{lane}}", `sum by (lane) (rangefleet_worker_slots{})`}),
	}
}

// alertsFiring counts alerts. They have no job, and mostly no instance.
const alertsFiring = `count(ALERTS{alertname=~"Rangefleet.+", alertstate="firing"}) or vector(0)`
