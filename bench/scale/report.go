package scale

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// Results is the content of bench/results/scale.json.
type Results struct {
	Date    time.Time `json:"date"`
	Machine string    `json:"machine"`
	Idle    float64   `json:"coordinator_idle_bytes"` // resident memory before any import
	Sizes   Sizes     `json:"sizes"`
	Speeds  Speeds    `json:"speeds"`
}

// worker is the row of bench.json about a worker and many keys.
type worker struct {
	Name     string        `json:"name"`
	Kind     string        `json:"kind"`
	By       string        `json:"by"`
	Objects  float64       `json:"objects"`
	CPU      time.Duration `json:"cpu_ns"`
	Wall     time.Duration `json:"wall_ns"`
	Lists    float64       `json:"lists"`
	MinLists float64       `json:"min_lists"`
	Ranges   float64       `json:"ranges"`
}

// Load reads the measured results: bench.json, written by the bench command, and scale.json.
func Load(dir string) (m Measured, err error) {
	var bench struct{ Rows []worker }
	var r Results
	if err := errors.Join(decode(dir+"/bench.json", &bench), decode(dir+"/scale.json", &r)); err != nil {
		return m, err
	}
	for _, row := range bench.Rows {
		if row.By == "worker" && row.Kind == "large" {
			m.CPU = time.Duration(float64(row.CPU) / row.Objects * 1e6)
			m.Slot = row.Objects / row.Wall.Seconds()
			m.Lists = row.Lists / row.MinLists
			m.Range = row.Objects / row.Ranges
		}
	}
	if m.CPU == 0 {
		return m, fmt.Errorf("%s/bench.json has no row of a worker with many objects", dir)
	}
	m.PageKey, m.Metarange, m.Cover = r.Sizes.PageKey, r.Sizes.Metarange, r.Sizes.Cover
	m.Memory, m.Landing, m.Stored, m.Idle = r.Speeds.Memory, r.Speeds.Landing, r.Speeds.Stored, r.Idle
	m.fixed()
	return m, nil
}

// fixed sets the numbers that constants, tests and manifests determine.
func (m *Measured) fixed() {
	m.Messages = 2                   // the target of bench/cmd/fleet
	m.Split = 500 * time.Millisecond // queue.starvedEvery
	m.FirstCut = 1                   // one partition of all keys, by coordinator.plan
	m.Pieces = 64                    // partition.mostPieces
	m.InFlight = 96                  // s3.max_lists
	m.Tail = [2]float64{1.2, 1.5}    // the bounds of the simulation in internal/fleetsim with 64 and 256 workers
	m.CoordinatorMax = 450 << 20     // the coordinator's GOMEMLIMIT in deploy/kubernetes
	m.PrefixLists = 5500             // documented by AWS
}

func decode(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("decode %s: %w", path, err)
	}
	return nil
}

// Place holds the assumptions of the tables: AWS.
var Place = Assumed{
	Latency: 100 * time.Millisecond, Cores: 2, Network: 0.781e9 / 8, Machine: 0.10264, Others: 5,
	ListCost: 0.005 / 1000, PutCost: 0.005 / 1000,
}
