package main

// oneImport follows an import. Metrics do not name it: the reader chooses the time in which it ran,
// and its fleet. What else ran then shows, too. The links lead to what is known of it alone.
func oneImport() board {
	return board{
		uid: "rangefleet-import", title: "Rangefleet / Import",
		about: "Where does an import spend its time? No metric names an import: choose its fleet, and the time in which it ran. " +
			"Type in where it is to open its status. Points of graphs of times lead to traces.",
		inputs: []input{{"api", "URL of the API"}, {"repository", "Repository"}, {"branch", "Branch"}, {"import", "Import"}},
		links: []link{{
			"Status of the import", "What the API tells of the import that is typed in above: progress, partitions, problems.",
			"${api}/api/v1/repositories/${repository}/branches/${branch}/import?id=${import}",
		}},
		rows: []row{
			{"Now", []panel{
				stat("Imports driven", "Imports that coordinators drive.", "short", `sum(rangefleet_imports_driving{})`),
				stat("Partitions running", "Partitions that a worker has.", "short", `sum(max by (fleet) (rangefleet_fleet_partitions{state="running"}))`),
				stat("Partitions queued", "Partitions that wait for a worker.", "short", `sum(max by (fleet) (rangefleet_fleet_partitions{state="queued"}))`),
				stat("Objects a second", "Objects in ranges that are stored.", "ops", `sum(rate(rangefleet_worker_objects_covered_total{}[$__rate_interval]))`),
				stat("No progress for", "The longest time that an import which is driven has got no further.", "s", `max(rangefleet_import_oldest_progress_age_seconds{})`).warns(120, 600),
				stat("Ranges not taken in", "Covers that are stored and not yet chained by a coordinator.", "short", `sum(rangefleet_fold_lag_covers{})`),
			}},
			{"Steps", []panel{
				graph("Imports in a step", "Imports that are planned or committed, or wait for their turn.", "short", query{"{{step}}, {{state}}", `sum by (step, state) (rangefleet_import_steps{})`}),
				graph("Time of a step", "Time of one try to plan an import, to list it, to commit it, without waiting for a turn.", "s", times("{{step}} ", "rangefleet_import_step_duration_seconds", "step, ")...).withExemplars(),
				graph("Plans and gaps", "Partitions that imports begin with, and gaps that were found between covers and queued again.", "ops",
					total("planned", "rangefleet_partitions_planned_total{}"), total("gaps", "rangefleet_gaps_published_total{}")),
				graph("Covers", "Covers that are stored, and those not yet taken in.", "short",
					query{"stored", `sum(max by (fleet) (rangefleet_fleet_covers{}))`}, query{"not taken in", `sum(rangefleet_fold_lag_covers{})`}),
				graph("Chaining", "Covers that coordinators take in.", "ops", total("covers", "rangefleet_covers_folded_total{}")),
				graph("Time of chaining", "Time to chain the covers of one import.", "s", times("", "rangefleet_fold_duration_seconds", "")...),
			}},
			{"Listing", []panel{
				graph("Objects", "Objects that a process listed, and that are in its stored ranges.", "ops",
					rate("listed by {{instance}}", "rangefleet_objectstore_objects_listed_total{}", "instance"), rate("stored by {{instance}}", "rangefleet_worker_objects_covered_total{}", "instance")),
				graph("Ranges", "Ranges that a process stored.", "ops", rate("{{instance}}", "rangefleet_worker_ranges_covered_total{}", "instance")),
				graph("Bytes stored", "Bytes of ranges and metaranges.", "Bps", total("stored", "rangefleet_objectstore_put_bytes_total{}")),
				graph("Partitions", "Partitions that are queued, that a worker has, and that were delivered before.", "short",
					query{"{{state}}", `sum by (state) (max by (fleet, state) (rangefleet_fleet_partitions{}))`}, query{"delivered before", `sum(max by (fleet) (rangefleet_fleet_partitions_redelivered{}))`}),
				graph("Cuts", "Partitions that workers cut off for idle ones.", "ops", rate("{{instance}}", "rangefleet_worker_hand_overs_total{}", "instance")),
				graph("Time of a delivery", "Time that a process worked on a partition.", "s", times("", "rangefleet_worker_delivery_duration_seconds", "")...).withExemplars(),
			}},
			{"What went wrong", []panel{
				graph("Ends of deliveries", "Deliveries of partitions, by how they ended, and those that began though others got no further. Only done and over are final.", "ops",
					rate("{{outcome}}", "rangefleet_worker_deliveries_total{}", "outcome"), query{"begun again", `sum(max by (fleet) (rate(rangefleet_fleet_deliveries_repeated_total{}[$__rate_interval])))`}),
				graph("Partitions given up", "Partitions whose import failed for them, by the reason.", "ops", rate("{{reason}}", "rangefleet_worker_partitions_given_up_total{}", "reason")),
				graph("Steps tried again", "Steps of imports that met an error, and imports that were taken over.", "ops",
					total("steps", "rangefleet_import_step_retries_total{}"), total("takeovers", "rangefleet_import_takeovers_total{}")),
				graph("Commits", "Attempts to commit, by how they ended. After moved another attempt follows.", "ops", rate("{{result}}", "rangefleet_commit_attempts_total{}", "result")),
				graph("LIST calls tried again", "LIST calls that met an error, or that a store throttled, and listings that began anew.", "ops",
					total("tried again", "rangefleet_readahead_retries_total{}"), total("throttled", "rangefleet_readahead_throttled_total{}"), total("began anew", "rangefleet_readahead_restarts_total{}")),
				graph("Sizes of pages", "Changes of how many keys a page is asked for.", "ops", rate("{{direction}}", "rangefleet_objectstore_page_resizes_total{}", "direction")),
			}},
		},
	}
}
