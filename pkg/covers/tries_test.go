package covers_test

import (
	"reflect"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/pkg/covers"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// TestTriesReturnsTheLastNote also checks that notes are counted as messages stored.
func TestTriesReturnsTheLastNote(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	q := queuetest.Connect(t, natsconn.Config{InProcess: queuetest.StartServer(t, natsd.Config{}), Registerer: reg})
	last := covers.Tries{Count: 2, At: "k\U0001F600", Refused: []string{"w"}, Cut: "n"}
	expect.NoError(t, q.Covers.NoteTries(t.Context(), "imp", "p", covers.Tries{Count: 1, Cut: "z"}))
	expect.NoError(t, q.Covers.NoteTries(t.Context(), "imp", "p", last))
	expect.NoError(t, q.Covers.NoteTries(t.Context(), "imp", "other", covers.Tries{Count: 7}))
	got, found, err := q.Covers.Tries(t.Context(), "imp", "p")
	if err != nil || !found || !reflect.DeepEqual(got, last) {
		t.Errorf("noted %+v, %t, %v, want %+v", got, found, err, last)
	}
	if _, found, err := q.Covers.Tries(t.Context(), "imp", "none"); found || err != nil {
		t.Errorf("of a partition without a note: %t, %v", found, err)
	}
	if n := measured.Sum(t, reg, "rangefleet_queue_published_total"); n != 3 {
		t.Errorf("%v messages are counted, want 3", n)
	}
}
