package scale_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/bench/scale"
	"github.com/rangefleet/rangefleet/internal/generated"
)

const results = "../results"

func load(t *testing.T) scale.Measured {
	t.Helper()
	m, err := scale.Load(results)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The tables of docs/scale.md are those of the measurements in bench/results.
func TestDocsAreCurrent(t *testing.T) {
	generated.Part(t, "../../docs/scale.md", scale.Tables(load(t), scale.Place)+"\n")
}

// The sizes in the results are those of the current code.
func TestSizesAreCurrent(t *testing.T) {
	text, err := os.ReadFile(results + "/scale.json")
	if err != nil {
		t.Fatal(err)
	}
	var r scale.Results
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	got, err := scale.MeasureSizes(t.Context(), int64(load(t).Range))
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]float64{
		"page": {got.PageKey, r.Sizes.PageKey}, "metarange": {got.Metarange, r.Sizes.Metarange}, "cover": {got.Cover, r.Sizes.Cover},
	} {
		if math.Abs(pair[0]-pair[1]) > 0.05*pair[1] {
			t.Errorf("%s: %.0f bytes, the results say %.0f: measure again with go run ./cmd/scale -measure", name, pair[0], pair[1])
		}
	}
}

// The numbers that report.go repeats from code and manifests are current.
func TestConstantsAreCurrent(t *testing.T) {
	m := load(t)
	for path, want := range map[string]string{
		"pkg/coordinator/plan.go":            map[int]string{1: `\[\]partition\.Partition\{partition\.Whole\(id\)\}`}[m.FirstCut],
		"pkg/partition/share.go":             fmt.Sprintf(`mostPieces = %d\b`, m.Pieces),
		"pkg/queue/loadwatch.go":             `starvedEvery = 500 \* time\.Millisecond\n`,
		"docs/settings.md":                   fmt.Sprintf("`s3.max_lists` \\| int \\| `%d`", m.InFlight),
		"deploy/kubernetes/coordinator.yaml": fmt.Sprintf(`GOMEMLIMIT, value: %.0fMiB`, m.CoordinatorMax/(1<<20)),
	} {
		text, err := os.ReadFile("../../" + path)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(want).Match(text) {
			t.Errorf("%s has no %s: correct report.go", path, want)
		}
	}
}

// simple has numbers that are easy to compute by hand.
var (
	simple = scale.Measured{
		CPU: time.Second, Slot: 1e9, Lists: 1, Range: 1000, PageKey: 100, Metarange: 10, Cover: 20, Memory: 30, Idle: 5,
		Landing: 100 * time.Second, Stored: 1e6, Messages: 2, Split: time.Second, FirstCut: 16, Pieces: 1, Tail: [2]float64{2, 3}, InFlight: 100, PrefixLists: 5000,
	}
	place = scale.Assumed{Latency: 100 * time.Millisecond, Cores: 2, Network: 1e12, Machine: 3600, Others: 1, ListCost: 0.1, PutCost: 1}
)

func TestWork(t *testing.T) {
	got := simple.Work(place, 1e6)
	want := scale.Work{Keys: 1e6, Lists: 1000, Ranges: 1000, Messages: 2000, Covers: 20_000, Metarange: 10_000, Memory: 30_005, Calls: 100 + 1001}
	if got != want {
		t.Errorf("work %+v, want %+v", got, want)
	}
}

func TestRun(t *testing.T) {
	slow := place
	slow.Network = 1e6 // 10,000 keys a second
	for _, tc := range []struct {
		name    string
		a       scale.Assumed
		keys    float64
		workers int
		first   string
		wall    time.Duration
	}{
		{"latency, 100 calls in flight of 0.1 s", place, 1e6, 1, "latency of LIST", 2100 * time.Millisecond},
		{"the store, from the fifth worker on", place, 1e9, 16, "the store", 500 * time.Second},
		{"two hand-overs to 64 workers", place, 1e9, 64, "the store", 502 * time.Second},
		{"a longer end of 128", place, 1e9, 128, "the store", 703 * time.Second},
		{"network", slow, 1e6, 1, "network of workers", 200100 * time.Millisecond},
	} {
		got := simple.Run(tc.a, tc.keys, tc.workers, 1)
		if got.First != tc.first || got.Wall != tc.wall {
			t.Errorf("%s: limited by %s, %v; want %s, %v", tc.name, got.First, got.Wall, tc.first, tc.wall)
		}
	}
	if got := simple.Run(place, 1e9, 64, 1000); got.First != "the coordinator, at the end" {
		t.Errorf("an import of a store without limits is limited by %s", got.First)
	}
}

// More workers never take longer, and larger imports never cost less.
func TestOrder(t *testing.T) {
	m := load(t)
	for _, parts := range []int{1, 10, 1000} {
		last := time.Duration(math.MaxInt64)
		for workers := 1; workers <= 16; workers++ {
			r := m.Run(scale.Place, 1e9, workers, parts)
			if r.Wall > last {
				t.Errorf("%d workers take %v, one worker less takes %v", workers, r.Wall, last)
			}
			last = r.Wall
		}
	}
	if a, b := m.Work(scale.Place, 1e9), m.Work(scale.Place, 1e11); b.Calls < 99*a.Calls || b.Lists < 99*a.Lists {
		t.Errorf("%+v and %+v", a, b)
	}
}
