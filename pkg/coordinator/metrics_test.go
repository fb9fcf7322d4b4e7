package coordinator

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// sample returns the value of a service's metric: the sum of the series with the label's
// value, or of all series if that is empty.
func sample(t *testing.T, s *Service, name, label string) float64 {
	t.Helper()
	metrics := s.cfg.Registerer.(*prometheus.Registry)
	if label == "" {
		return measured.Sum(t, metrics, name)
	}
	return measured.Sum(t, metrics, name, label)
}

// TestMetricsOfTheFleet follows an import from its plan to its end by the metrics of a
// coordinator that does not drive it.
func TestMetricsOfTheFleet(t *testing.T) {
	t.Parallel()
	f, _ := numberedFleet(t, 3000)
	driver := f.service()
	id := f.startCut(driver, request("", ""), "dir/001000", "dir/002000")
	parts := f.planned(id)
	f.run(driver.Run)
	// Before the other one scans, which would take over an import without a driver.
	expect.Eventually(t, "the driver has its lease", func() bool { return sample(t, driver, "rangefleet_fleet_coordinators", "") == 1 })
	other, _ := f.serve()
	shows := func(what string, value float64, name, label string) {
		t.Helper()
		expect.Eventually(t, what, func() bool { return sample(t, other, name, label) == value })
	}
	shows("two coordinators", 2, "rangefleet_fleet_coordinators", "")
	shows("queued partitions", float64(len(parts)), "rangefleet_fleet_partitions", "queued")
	shows("a running import", 1, "rangefleet_fleet_imports", string(imports.Running))
	expect.NoError(t, f.backend.Covers.Publish(t.Context(), id, "p", partition.Cover{Span: partition.Span{Upto: "a"}}))
	shows("a cover", 1, "rangefleet_fleet_covers", "")
	f.work(2)
	f.completed(id)
	shows("no partition", 0, "rangefleet_fleet_partitions", "queued")
	shows("a completed import", 1, "rangefleet_fleet_imports", string(imports.Completed))
	shows("no running import", 0, "rangefleet_fleet_imports", string(imports.Running))
	shows("a waiting worker", 1, "rangefleet_fleet_workers_waiting", "")
	for name, label := range map[string]string{
		"rangefleet_import_step_duration_seconds": stepCommit, "rangefleet_fold_duration_seconds": "", "rangefleet_covers_folded_total": "",
		"rangefleet_import_duration_seconds": "",
	} {
		expect.Eventually(t, name+" counts", func() bool { return sample(t, driver, name, label) > 0 })
	}
}
