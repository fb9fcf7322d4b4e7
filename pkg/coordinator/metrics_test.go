package coordinator

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// sample returns what a service's metric says where it has the label's value, or of all
// if that is empty.
func sample(t *testing.T, s *Service, name, label string) float64 {
	t.Helper()
	metrics := s.cfg.Registerer.(*prometheus.Registry)
	if label == "" {
		return measured.Sum(t, metrics, name)
	}
	return measured.Sum(t, metrics, name, label)
}

// TestMetricsOfTheFleet looks at an import from its plan to its end through the
// eyes of a coordinator that does not drive it.
func TestMetricsOfTheFleet(t *testing.T) {
	t.Parallel()
	source, _ := numbered(3000)
	f := newFleet(t, source)
	driver := f.service()
	id := f.startCut(driver, request("", ""), "dir/001000", "dir/002000")
	parts := f.planned(id)
	f.run(driver.Run)
	// Before the other one looks, or that would take over what nobody seems to drive.
	expect.Eventually(t, "the driver's lease", func() bool { return sample(t, driver, "rangefleet_fleet_coordinators", "") == 1 })
	other, _ := f.serve()
	shows := func(what string, value float64, name, label string) {
		t.Helper()
		expect.Eventually(t, what, func() bool { return sample(t, other, name, label) == value })
	}
	shows("two coordinators", 2, "rangefleet_fleet_coordinators", "")
	shows("queued partitions", float64(len(parts)), "rangefleet_fleet_partitions", "queued")
	shows("an import that runs", 1, "rangefleet_fleet_imports", string(imports.Running))
	expect.NoError(t, f.backend.Covers.Publish(t.Context(), id, "p", partition.Cover{Span: partition.Span{Upto: "a"}}))
	shows("a cover", 1, "rangefleet_fleet_covers", "")
	f.work(2)
	f.completed(id)
	shows("no partition", 0, "rangefleet_fleet_partitions", "queued")
	shows("an import that is completed", 1, "rangefleet_fleet_imports", string(imports.Completed))
	shows("none that runs", 0, "rangefleet_fleet_imports", string(imports.Running))
	shows("a worker that waits", 1, "rangefleet_fleet_workers_waiting", "")
	for name, label := range map[string]string{
		"rangefleet_import_step_duration_seconds": stepCommit, "rangefleet_fold_duration_seconds": "", "rangefleet_covers_folded_total": "",
		"rangefleet_import_duration_seconds": "",
	} {
		expect.Eventually(t, name+" counts", func() bool { return sample(t, driver, name, label) > 0 })
	}
}
