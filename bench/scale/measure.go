package scale

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/rangefleet/rangefleet/bench/synths3"
	"github.com/rangefleet/rangefleet/internal/keyset"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Sizes are numbers of bytes that do not depend on the machine.
type Sizes struct {
	PageKey   float64 `json:"page_bytes_per_key"`        // of a listing
	Metarange float64 `json:"metarange_bytes_per_range"` // stored
	Cover     float64 `json:"cover_bytes_per_range"`     // stored in NATS, with its subject
}

// Speeds are the measurements that depend on the machine.
type Speeds struct {
	Memory  float64       `json:"coordinator_bytes_per_range"` // heap while it folds covers and writes the metarange
	Landing time.Duration `json:"landing_ns_per_million_ranges"`
	Stored  float64       `json:"nats_messages_per_second"`
}

// covers yields the covers that a fleet would publish for n ranges of perRange keys each, of
// hive-partitioned logs.
func covers(n int, perRange int64) (iter.Seq[partition.Cover], error) {
	set, err := keyset.New("hive", int64(n)*perRange, 1)
	if err != nil {
		return nil, err
	}
	return func(yield func(partition.Cover) bool) {
		rnd := rand.New(rand.NewPCG(1, 1))
		var id [32]byte
		var span partition.Span
		for i := range int64(n) {
			for j := range id {
				id[j] = byte(rnd.Uint32())
			}
			r := &partition.RangeMetadata{
				ID: hex.EncodeToString(id[:]), MinKey: set.Key(i * perRange), MaxKey: set.Key((i+1)*perRange - 1),
				Count: perRange, EstimatedSize: uint64(perRange) * 90,
			}
			span.Upto = r.MaxKey
			if i == int64(n)-1 {
				span.Upto = ""
			}
			if !yield(partition.Cover{Span: span, Range: r}) {
				return
			}
			span.After = r.MaxKey
		}
	}, nil
}

// MeasureSizes measures the sizes, for ranges of perRange keys.
func MeasureSizes(ctx context.Context, perRange int64) (s Sizes, err error) {
	const n = 2000
	all, err := covers(n, perRange)
	if err != nil {
		return s, err
	}
	const envelope = 2*22 + 24 + 22 // subject with the IDs of import and partition, and message header on disk
	var ranges []partition.RangeMetadata
	for c := range all {
		text, err := json.Marshal(c)
		if err != nil {
			return s, err
		}
		s.Cover += float64(len(text) + envelope)
		ranges = append(ranges, *c.Range)
	}
	var stored files
	if _, err := metarange.Write(ctx, &stored, ranges); err != nil {
		return s, err
	}
	s.Metarange, s.Cover = math.Round(float64(stored)/n), math.Round(s.Cover/n)
	s.PageKey, err = pageKey()
	return s, err
}

// pageKey returns the bytes per key of a page of the synthetic S3, which has AWS's format.
func pageKey() (float64, error) {
	server := httptest.NewServer(synths3.New(synths3.Config{}))
	defer server.Close()
	resp, err := http.Get(server.URL + "/hive-1m?list-type=2") //nolint:noctx // of this process
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	return math.Round(float64(n) / PageKeys), err
}

// files counts the bytes of the files that are put, and keeps none.
type files int

func (f *files) Get(context.Context, string) ([]byte, error) {
	return nil, fmt.Errorf("no files are kept")
}

func (f *files) Put(_ context.Context, _ string, data []byte, _ objectstore.Sum) error {
	*f += files(len(data))
	return nil
}

// MeasureSpeeds measures the speeds, for ranges of perRange keys. A NATS server stores its
// data below dir.
func MeasureSpeeds(ctx context.Context, dir string, perRange int64) (s Speeds, err error) {
	const n = 200_000
	all, err := covers(n, perRange)
	if err != nil {
		return s, err
	}
	begun, before := time.Now(), heap()
	var chain partition.Chain
	for c := range all {
		chain.Add(c)
	}
	fold := chain.Fold()
	if !fold.Complete() || fold.Ranges != n {
		return s, fmt.Errorf("the fold of %d covers has %d ranges and %d gaps, want as many ranges and no gap", n, fold.Ranges, len(fold.Gaps))
	}
	peak := peakFiles{}
	if _, err := metarange.WriteAll(ctx, &peak, each(fold), fold.Ranges); err != nil {
		return s, err
	}
	s.Landing = time.Since(begun) * (1e6 / n)
	s.Memory = math.Round((float64(peak.heap) - float64(before)) / n)
	runtime.KeepAlive(chain)
	s.Stored, err = storedPerSecond(ctx, dir)
	return s, err
}

// each yields the ranges of a fold in the way of the coordinator.
func each(fold partition.Fold) metarange.Ranges {
	return func(yield func(partition.RangeMetadata, error) bool) {
		for r := range fold.All() {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// peakFiles records the size of the heap while a whole file is in memory and being stored.
type peakFiles struct{ heap uint64 }

func (f *peakFiles) Get(context.Context, string) ([]byte, error) {
	return nil, fmt.Errorf("no files are kept")
}

func (f *peakFiles) Put(context.Context, string, []byte, objectstore.Sum) error {
	f.heap = max(f.heap, heap())
	return nil
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// storedPerSecond returns the number of messages that one NATS server stores per second if it
// syncs each of them. The messages have the size of covers and come from 64 publishers.
func storedPerSecond(ctx context.Context, dir string) (float64, error) {
	server, err := natsd.Start(natsd.Config{StoreDir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, err
	}
	defer func() { _ = server.Shutdown() }()
	conn, err := nats.Connect("", nats.InProcessServer(server))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return 0, err
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.*"}, Storage: jetstream.FileStorage}); err != nil {
		return 0, err
	}
	const publishers, lasts = 64, 5 * time.Second
	var stored atomic.Int64
	begun := time.Now()
	var all errgroup.Group
	for i := range publishers {
		all.Go(func() error {
			for time.Since(begun) < lasts {
				if _, err := js.Publish(ctx, fmt.Sprintf("s.%d", i), make([]byte, 500)); err != nil {
					return err
				}
				stored.Add(1)
			}
			return nil
		})
	}
	err = all.Wait()
	return math.Round(float64(stored.Load()) / time.Since(begun).Seconds()), err
}
