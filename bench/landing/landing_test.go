package landing

import (
	"strings"
	"testing"
)

// Each case lands, at a small size.
func TestCases(t *testing.T) {
	for _, c := range Cases() {
		s := stored(t, c, 300)
		ours, err := s.Land(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		bare, err := s.Bare(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if ours.Calls < 2 || ours.Bytes == 0 || bare.Calls < 3 || bare.Bytes == 0 {
			t.Errorf("%s: %+v, bare %+v", c.Name, ours, bare)
		}
		if len(s.New) == 0 != (len(s.Cut) == 0) || s.Ranges < 300 {
			t.Errorf("%s: %d ranges, %d of them new, %d cut", c.Name, s.Ranges, len(s.New), len(s.Cut))
		}
		text := Report{Ranges: 300, Rows: []Row{{Case: c.Name, Ranges: s.Ranges, Ours: []Cost{ours}, Bare: []Cost{bare}}}}.Text()
		if !strings.Contains(text, c.Name) || !strings.Contains(text, "CPU, worst case") {
			t.Error(text)
		}
	}
}

func TestSlowStore(t *testing.T) {
	s := stored(t, Changed(), 2)
	var a Afar
	for beside, cost := range map[bool]*Cost{true: &a.Beside, false: &a.After} {
		var err error
		if *cost, err = s.LandAfar(t.Context(), beside); err != nil {
			t.Fatal(err)
		}
	}
	if s.Changes.Removed != 2 || s.Changes.Replaced == 0 || a.Beside.Calls != a.After.Calls || a.Beside.Bytes != a.After.Bytes {
		t.Errorf("%+v: %+v", s.Changes, a)
	}
	if text := afarText([]Afar{a}); !strings.Contains(text, "of the wall time") {
		t.Error(text)
	}
}

func stored(t testing.TB, c Case, n int) Stored {
	t.Helper()
	s, err := c.Store(t.Context(), t.TempDir(), n)
	if err != nil {
		t.Fatalf("%s: %v", c.Name, err)
	}
	return s
}

// BenchmarkLanding compares a landing with the least work. The landing command runs it with
// more ranges, in processes of their own.
func BenchmarkLanding(b *testing.B) {
	for _, c := range Cases() {
		b.Run(c.Name, func(b *testing.B) {
			s := stored(b, c, 10_000)
			var row Row
			for b.Loop() {
				ours, err := s.Land(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				bare, err := s.Bare(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				row.Ours, row.Bare = append(row.Ours, ours), append(row.Bare, bare)
			}
			b.ReportMetric(row.ratio(cpu), "CPU/bare")
			b.ReportMetric(row.ratio(wall), "wall/bare")
		})
	}
}
