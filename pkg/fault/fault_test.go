package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/fault"
)

func TestFaults(t *testing.T) {
	kinds := []fault.Kind{fault.Invalid, fault.NotFound, fault.Conflict, fault.Later, fault.Busy}
	for _, tc := range []struct {
		err  error
		kind fault.Kind
		text string
	}{
		{fault.BadField("paths[0].path", "%q has no scheme", "x"), fault.Invalid, `paths[0].path: "x" has no scheme`},
		{fault.Missing("branch"), fault.NotFound, "branch not found"},
		{fault.Conflicting("import %s is over", "i"), fault.Conflict, "import i is over"},
		{fault.Unavailable("ns", "%s is away", "s3"), fault.Later, "ns: s3 is away"},
		{fault.TooMany("%d are under way", 2), fault.Busy, "2 are under way"},
	} {
		if tc.err.Error() != tc.text {
			t.Errorf("text %q, want %q", tc.err, tc.text)
		}
		for _, kind := range kinds {
			for _, err := range []error{tc.err, fmt.Errorf("start: %w", tc.err), errors.Join(errors.New("x"), tc.err)} {
				if fault.Is(err, kind) != (kind == tc.kind) {
					t.Errorf("Is(%v, %d) = %t", err, kind, kind != tc.kind)
				}
			}
		}
	}
	for _, err := range []error{nil, errors.New("branch not found")} {
		for _, kind := range kinds {
			if fault.Is(err, kind) {
				t.Errorf("Is(%v, %d)", err, kind)
			}
		}
	}
}
