package measure

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestSelf(t *testing.T) {
	var kept [][]byte
	u, err := Self(func() error {
		for begun := time.Now(); time.Since(begun) < 50*time.Millisecond; {
			if len(kept) < 1000 {
				kept = append(kept, make([]byte, 100))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// On a busy machine the thread may get little of that time, but it gets some.
	if u.Wall < 50*time.Millisecond || u.CPU < time.Millisecond || u.Allocs < 1000 || u.Peak < 1<<20 {
		t.Errorf("%+v for %d allocations", u, len(kept))
	}
}

func TestOthers(t *testing.T) {
	if _, err := CPU(os.Getppid()); err != nil {
		t.Error(err)
	}
	if _, err := CPU(1 << 30); err == nil {
		t.Error("a process that does not exist used no CPU")
	}
	if _, err := Peak(1 << 30); err == nil {
		t.Error("a process that does not exist used no memory")
	}
}

func TestParsePerf(t *testing.T) {
	c := parsePerf("123456,,instructions:u,1000,100.00,,\n789,,cycles:u,1000,100.00,,\n")
	if c.Instructions == nil || *c.Instructions != 123456 || c.Cycles == nil || *c.Cycles != 789 {
		t.Errorf("%+v", c)
	}
	c = parsePerf("<not supported>,,instructions,0,100.00,,\n<not counted>,,cycles,0,0,,\n")
	if c.Instructions != nil || c.Cycles != nil {
		t.Errorf("%+v", c)
	}
}

func TestChild(t *testing.T) {
	var out strings.Builder
	err := Child(strings.NewReader("go\n"), &out, func() (any, error) { return 42, nil })
	if err != nil || out.String() != "ready\n42\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	if Child(strings.NewReader(""), &out, nil) == nil {
		t.Error("the work began without a line of input")
	}
}
