package coordinator

import (
	"testing"
	"time"
)

// A call that met a fault once, and so took long, must not keep the coordinator
// from looking again for many times as long.
func TestRestAfter(t *testing.T) {
	for _, tt := range []struct{ took, least, want time.Duration }{
		{0, time.Second, time.Second},
		{50 * time.Millisecond, time.Second, time.Second},
		{50 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond},
		{200 * time.Millisecond, time.Second, 2 * time.Second},
		{time.Second, time.Second, maxRest},
		{8 * time.Second, time.Second, 8 * time.Second},
		{30 * time.Second, time.Second, longRest},
	} {
		if got := restAfter(tt.took, tt.least); got != tt.want {
			t.Errorf("restAfter(%v, %v) = %v, want %v", tt.took, tt.least, got, tt.want)
		}
	}
}
