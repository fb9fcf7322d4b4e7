package tracing_test

import (
	"testing"

	"github.com/rangefleet/rangefleet/pkg/tracing"
)

const (
	sampled   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

// A place survives being carried. What is no place, or leads nowhere, is none.
func TestPlace(t *testing.T) {
	for _, tc := range []struct {
		name  string
		place tracing.Place
		want  string // the trace's ID
	}{
		{"none", tracing.Place{}, ""},
		{"sampled", tracing.Place{Parent: sampled, State: "a=b"}, "0af7651916cd43dd8448eb211c80319c"},
		{"not sampled", tracing.Place{Parent: unsampled}, ""},
		{"no span", tracing.Place{Parent: "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"}, ""},
		{"text", tracing.Place{Parent: "over there\r\n"}, ""},
		{"state only", tracing.Place{State: "a=b"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx := tc.place.In(t.Context())
			if got := tracing.ID(ctx); got != tc.want || tc.place.ID() != tc.want {
				t.Errorf("ID in the context is %q, of the place %q, want %q", got, tc.place.ID(), tc.want)
			}
			want := tc.place
			if tc.want == "" {
				want = tracing.Place{}
			}
			if got := tracing.Here(ctx); got != want {
				t.Errorf("carried on it is %+v, want %+v", got, want)
			}
		})
	}
}
