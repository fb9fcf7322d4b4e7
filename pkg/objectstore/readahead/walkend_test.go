package readahead

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/seeded"
)

// TestProbesShowAnyKeyBehind checks that any key behind another one is shown by a probe.
func TestProbesShowAnyKeyBehind(t *testing.T) {
	r := seeded.Rand(t)
	key := func() string {
		text := ""
		for range 1 + r.IntN(6) {
			text += string("/0.!a~é"[r.IntN(6)])
		}
		return text
	}
	for range 50_000 {
		prefix := key()[:r.IntN(2)]
		last, later := prefix+key(), prefix+key()
		if later <= last {
			continue
		}
		probes := probesBehind(prefix, last)
		if !slices.ContainsFunc(probes, func(p probe) bool { return strings.HasPrefix(later, p.prefix) && later > p.after }) {
			t.Fatalf("prefix %q: no probe behind %q shows %q: %q", prefix, last, later, probes)
		}
		for _, p := range probes {
			if !strings.HasPrefix(p.prefix, prefix) || p.after != "" && !strings.HasPrefix(p.after, p.prefix) {
				t.Fatalf("prefix %q: the probe %+v leaves it", prefix, p)
			}
		}
	}
}

func TestProbesBehind(t *testing.T) {
	got := fmt.Sprintf("%q", probesBehind("a/pre", "a/pre1/b/c"))
	const want = `[{"a/pre1/b/" "a/pre1/b/c"} {"a/pre1/" "a/pre1/b0"} {"a/pre1/b0" ""} {"a/pre" "a/pre10"} {"a/pre10" ""}]`
	if got != want {
		t.Errorf("probes %s, want %s", got, want)
	}
}
