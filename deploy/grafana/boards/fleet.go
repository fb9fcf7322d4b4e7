package main

// fleet shows the parts that a fleet consists of and depends on.
func fleet() board {
	return board{
		uid: "rangefleet-fleet", title: "Rangefleet / Fleet",
		about: "What are the processes of a fleet, the object stores and NATS doing? Use, saturation and errors of each.",
		rows: []row{
			{"Now", fleetStats()},
			{"Processes", processGraphs()},
			{"Object stores", storeGraphs()},
			{"NATS", natsGraphs()},
			{"Queue", queueGraphs()},
			{"lakeFS server", []panel{
				graph("Calls to lakeFS", "Calls to the lakeFS server, by what they do and the class of the status.", "reqps", rate("{{operation}} {{code}}", "rangefleet_lakefs_requests_total{}", "operation, code")),
				graph("Time of calls to lakeFS", "Time of one call, by whether it reads or writes.", "s", times("{{kind}} ", "rangefleet_lakefs_request_duration_seconds", "kind, ")...),
				graph("Requests handed on", "Requests that a coordinator hands to the lakeFS server, and whether the server answers.", "reqps",
					rate("{{code}}", "rangefleet_lakefs_proxied_requests_total{}", "code"), query{"{{instance}} reaches it", `rangefleet_lakefs_reachable{}`}),
			}},
			{"Access", accessGraphs()},
		},
	}
}

func fleetStats() []panel {
	return []panel{
		stat("Processes", "Processes that Prometheus scrapes.", "short", `count(rangefleet_build_info{})`).needsAny(),
		stat("Versions", "Versions that run. More than one is right only during an upgrade.", "short", `count(count by (version) (rangefleet_build_info{}))`).warns(2, 3),
		stat("Slots busy", "Share of the slots for partitions that are in use.", "percentunit", `sum(rangefleet_worker_slots_busy{lane="bulk"}) / sum(rangefleet_worker_slots{lane="bulk"})`),
		stat("Memory", "Memory of the process that is nearest to its budget, without garbage, as a share.", "percentunit", `max(rangefleet_memory_used_bytes{} / rangefleet_memory_budget_bytes{})`).warns(0.9, 1),
		stat("NATS disk", "Share of the space for JetStream that is in use.", "percentunit", `max(rangefleet_nats_storage_used_bytes{} / rangefleet_nats_storage_limit_bytes{})`).warns(0.7, 0.9),
		stat("Streams without leader", "Streams that cannot be used.", "short", `count(min by (fleet, stream) (rangefleet_nats_stream_leader{}) == 0) or vector(0)`).warns(1, 1),
	}
}

func processGraphs() []panel {
	return []panel{
		graph("CPU", "Processors that a process uses.", "short", rate("{{instance}}", "process_cpu_seconds_total{}", "instance")),
		graph("Memory", "Memory that a process needs, without garbage, as a share of its budget.", "percentunit", query{"{{instance}}", `rangefleet_memory_used_bytes{} / rangefleet_memory_budget_bytes{}`}),
		graph("Resident memory", "Memory of a process as the system counts it.", "bytes", query{"{{instance}}", `process_resident_memory_bytes{}`}),
		graph("Slots", "Share of the slots of a process that are busy, by lane.", "percentunit", query{"{{instance}} {{lane}}", `rangefleet_worker_slots_busy{} / rangefleet_worker_slots{}`}),
		graph("Memory for range files", "Memory that range files, requests and comparisons use, as a share of what they may use.", "percentunit",
			query{"{{instance}}", `rangefleet_range_files_used_bytes{} / rangefleet_range_files_limit_bytes{}`}),
		graph("Pages read ahead", "Bytes of pages listed ahead, as a share of what may be.", "percentunit", query{"{{instance}}", `rangefleet_readahead_held_bytes{} / rangefleet_readahead_limit_bytes{}`}),
		graph("Tables in memory", "Bytes of tables kept for lookups, as a share of what may be; and covers that were taken in.", "bytes",
			query{"tables, {{instance}}", `rangefleet_table_cache_bytes{}`}, query{"limit, {{instance}}", `rangefleet_table_cache_limit_bytes{}`}, query{"covers, {{instance}}", `rangefleet_fold_bytes{}`}),
		graph("Lookups", "Reads of tables, by whether they were in memory.", "ops", rate("{{outcome}}", "rangefleet_table_cache_reads_total{}", "outcome")),
		graph("Goroutines and files", "Goroutines, and open files and connections.", "short", query{"goroutines, {{instance}}", `go_goroutines{}`}, query{"files, {{instance}}", `process_open_fds{}`}),
	}
}

func storeGraphs() []panel {
	return []panel{
		graph("Calls", "Calls to object stores, by what they do and how they ended.", "reqps", rate("{{operation}} {{code}}", "rangefleet_objectstore_requests_total{}", "operation, code")),
		graph("Time of calls", "Time of one call, by what it does; of a listing, of one page.", "s", times("{{operation}} ", "rangefleet_objectstore_request_duration_seconds", "operation, ")...).withExemplars(),
		graph("Calls tried again", "Calls that met a transient error.", "reqps", rate("{{operation}}", "rangefleet_objectstore_retries_total{}", "operation")),
		graph("LISTs in flight", "LIST calls in flight, and how many a process may have.", "short",
			query{"in flight, {{instance}}", `rangefleet_readahead_lists_in_flight{}`}, query{"may be, {{instance}}", `rangefleet_pace_lists_most{}`}),
		graph("Throttling", "Messages that a store has throttled a process, which lists less then.", "ops",
			total("sent", "rangefleet_pace_throttles_broadcast_total{}"), total("received", "rangefleet_pace_throttles_received_total{}")),
		graph("Roles and refused connections", "Roles assumed to read a source, and connections that were not made because of where they would lead.", "ops",
			rate("role {{result}}", "rangefleet_objectstore_roles_assumed_total{}", "result"), rate("refused: {{class}}", "rangefleet_objectstore_connections_refused_total{}", "class")),
	}
}

func natsGraphs() []panel {
	return []panel{
		graph("Connections", "Processes with a connection to NATS, and those whose calls are answered.", "short",
			query{"connected", `sum(rangefleet_nats_connected{})`}, query{"answered", `sum(rangefleet_nats_connected{} * rangefleet_nats_responding{})`}),
		graph("Time of calls", "Time of one attempt of a call to NATS.", "s", times("", "rangefleet_nats_request_duration_seconds", "")...),
		graph("Calls tried again", "Calls to NATS tried again, connections that were lost, and errors outside of calls.", "ops",
			rate("{{operation}}", "rangefleet_nats_retries_total{}", "operation"), total("disconnects", "rangefleet_nats_disconnects_total{}"), total("errors", "rangefleet_nats_errors_total{}")),
		graph("Messages", "Messages to and from NATS.", "ops", total("sent", "rangefleet_nats_messages_sent_total{}"), total("received", "rangefleet_nats_messages_received_total{}")),
		graph("Disk", "Bytes that JetStream uses, and may use.", "bytes",
			query{"used, {{fleet}}", `max by (fleet) (rangefleet_nats_storage_used_bytes{})`}, query{"limit, {{fleet}}", `min by (fleet) (rangefleet_nats_storage_limit_bytes{} < Inf)`}),
		graph("Messages in streams", "Messages of each stream.", "short", query{"{{stream}}", `max by (fleet, stream) (rangefleet_nats_stream_messages{})`}),
		graph("Bytes of streams", "Bytes of each stream on disk.", "bytes", query{"{{stream}}", `max by (fleet, stream) (rangefleet_nats_stream_bytes{})`}),
		graph("Missing copies", "Copies of a stream that are wanted and not up to date.", "short",
			query{"{{stream}}", `max by (fleet, stream) (rangefleet_nats_stream_replicas{} - rangefleet_nats_stream_replicas_current{})`}),
		graph("Streams with a leader", "1 if a stream can be used, as any coordinator finds.", "short", query{"{{stream}}", `max by (fleet, stream) (rangefleet_nats_stream_leader{})`}),
	}
}

func queueGraphs() []panel {
	return []panel{
		graph("Messages stored", "Partitions, covers and notes that were stored.", "ops", rate("{{kind}}", "rangefleet_queue_published_total{}", "kind")),
		graph("Deliveries", "Partitions that were received, also again, and that were done with.", "ops",
			total("received", "rangefleet_queue_deliveries_total{}"), total("received again", "rangefleet_queue_redeliveries_total{}"), total("acknowledged", "rangefleet_queue_acks_total{}")),
		graph("Oddities", "Partitions queued twice, or not taken by a full queue; times that none came though some waited; messages of another version.", "ops",
			total("queued twice", "rangefleet_queue_already_queued_total{}"), total("full", "rangefleet_queue_full_total{}"), total("stalls", "rangefleet_queue_stalls_total{}"),
			total("other version", "rangefleet_protocol_refused_total{}")),
		graph("Leases", "Leases that were taken, and lost.", "ops", total("taken", "rangefleet_queue_leases_acquired_total{}"), total("lost", "rangefleet_queue_leases_lost_total{}")),
		graph("Broken records", "Records that cannot be decoded and are left out.", "short", query{"{{bucket}}", `max by (fleet, bucket) (rangefleet_records_broken{})`}),
		graph("Last sign of a worker", "How long ago any worker of the fleet gave a sign.", "s", query{"{{fleet}}", `time() - max by (fleet) (rangefleet_fleet_worker_sign_timestamp_seconds{} > 0)`}),
	}
}

func accessGraphs() []panel {
	return []panel{
		graph("Logins and connections", "Failed logins, connections without a common TLS, and connections closed for others.", "ops",
			rate("login {{outcome}}", "rangefleet_http_failed_logins_total{}", "outcome"), total("TLS failed", "rangefleet_http_tls_handshakes_failed_total{}"), total("closed for others", "rangefleet_http_connections_evicted_total{}")),
		graph("Time left", "Until certificates and credentials expire.", "s",
			query{"certificate {{use}}, {{instance}}", `rangefleet_certificate_not_after_timestamp_seconds{} - time()`},
			query{"credentials {{use}}, {{instance}}", `(rangefleet_credentials_not_after_timestamp_seconds{} > 0) - time()`}),
		graph("Files read again", "Rules of access and certificates that were read again, and lines of the audit log.", "ops",
			rate("rules {{result}}", "rangefleet_access_reloads_total{}", "result"), rate("certificate {{result}}", "rangefleet_certificate_reloads_total{}", "result"),
			rate("audit lines {{result}}", "rangefleet_audit_lines_total{}", "result")),
		graph("Spans of traces", "Spans that the collector of traces took, and that were lost.", "ops",
			total("taken", "rangefleet_trace_spans_exported_total{}"), rate("lost: {{reason}}", "rangefleet_trace_spans_dropped_total{}", "reason")),
	}
}
