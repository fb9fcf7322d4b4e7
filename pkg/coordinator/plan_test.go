package coordinator

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/roles"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// planTest is a planner, and what it has queued.
type planTest struct {
	*planner
	lane   queue.Lane
	queued []partition.Partition
}

// newPlanTest returns the planner of an import of a source, and the import's record.
func newPlanTest(t *testing.T, source *memstore.Store, r Start) (*planTest, imports.Record) {
	t.Helper()
	store := imports.NewStore(new(kvtest.Memory))
	imp, p := handle("import", store), new(planTest)
	p.planner = &planner{
		imp: imp, stores: memstore.Buckets{"bucket": source}, steps: &stepRunner{imp: imp, limits: newStepLimits()},
		publish: func(_ context.Context, lane queue.Lane, part partition.Partition) error {
			p.lane, p.queued = lane, append(p.queued, part)
			return nil
		},
	}
	return p, create(t, store, "import", "me", r)
}

func TestAPlanIsRecordedAndQueued(t *testing.T) {
	for lane, objects := range map[queue.Lane]int{queue.Express: 10, queue.Bulk: 3000} {
		source, _ := numbered(objects)
		p, record := newPlanTest(t, source, request("", ""))
		expect.NoError(t, p.plan(t.Context(), record))
		whole := []partition.Partition{partition.Whole("import")}
		record, err := p.imp.record(t.Context())
		if expect.NoError(t, err); !slices.Equal(record.Partitions, whole) || record.Begun != 0 {
			t.Errorf("%d objects: recorded are %v, and %d steps as begun", objects, record.Partitions, record.Begun)
		}
		if !slices.Equal(p.queued, whole) || p.lane != lane {
			t.Errorf("%d objects: queued are %v in lane %v, want all keys in lane %v", objects, p.queued, p.lane, lane)
		}
	}
}

func TestAPlanNamesTheRolesOfItsPaths(t *testing.T) {
	const arn = "arn:aws:iam::123456789012:role/dir"
	source, _ := numbered(10)
	table, err := roles.NewTable([]roles.Role{{Source: objectstore.URI{Scheme: "s3", Bucket: "bucket", Key: "dir/"}, ARN: arn, SessionName: "rangefleet"}})
	expect.NoError(t, err)
	p, record := newPlanTest(t, source, paths("", "dir/", "dir/0"))
	p.roles = table
	expect.NoError(t, p.plan(t.Context(), record))
	record, err = p.imp.record(t.Context())
	if expect.NoError(t, err); !slices.Equal(record.Job.Roles, []string{arn, arn}) {
		t.Errorf("roles %q", record.Job.Roles)
	}
}

func TestAnEmptyPathIsNotPlanned(t *testing.T) {
	source, _ := numbered(10)
	p, record := newPlanTest(t, source, paths("", "dir/", "typo/"))
	var empty emptyPaths
	if err := p.plan(t.Context(), record); !errors.As(err, &empty) || !slices.Equal(empty, []string{"s3://bucket/typo/"}) || !hopeless(err) {
		t.Errorf("the error is %v, want the empty path", err)
	}
	record, err := p.imp.record(t.Context())
	if expect.NoError(t, err); record.Partitions != nil || p.queued != nil {
		t.Errorf("recorded are %v, and queued %v", record.Partitions, p.queued)
	}
}

func TestACanceledImportIsNotPlanned(t *testing.T) {
	source, _ := numbered(10)
	p, record := newPlanTest(t, source, request("", ""))
	source.Hook = func(ctx context.Context, _ memstore.Call) error {
		_, err := p.imp.apply(ctx, func(r imports.Record) (imports.Record, error) { return r.Cancel(time.Now(), 0) })
		return err
	}
	expect.NoError(t, p.plan(t.Context(), record))
	if p.queued != nil {
		t.Errorf("queued are %v, want nothing", p.queued)
	}
}
