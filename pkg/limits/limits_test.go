package limits_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/generated"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

func TestDocsAreCurrent(t *testing.T) {
	var b strings.Builder
	b.WriteString("\n| limit of | at most | above it |\n| --- | --- | --- |\n")
	for _, l := range limits.All() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", l.Of, amount(l), l.Then)
	}
	b.WriteString("\n")
	generated.Part(t, "../../docs/limits.md", b.String())
}

// amount is the limit with its unit. Sizes of keys stay in bytes, as S3 tells them.
func amount(l limits.Limit) string {
	most, unit := l.Most, l.Unit
	if unit == "bytes" && most%(1<<20) == 0 {
		most, unit = most>>20, "MiB"
	} else if unit == "bytes" && most > limits.URI && most%(1<<10) == 0 {
		most, unit = most>>10, "KiB"
	}
	return strings.TrimSpace(fmt.Sprint(most, " ", unit))
}

func TestChecksNameTheFieldAndTheLimit(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want string
	}{
		{limits.Bytes("paths[0].destination", strings.Repeat("x", 5), 5), ""},
		{limits.Bytes("paths[0].destination", strings.Repeat("x", 6), 5), "paths[0].destination: 6 bytes, at most 5 are allowed"},
		{limits.Count("paths", 5, 5), ""},
		{limits.Count("paths", 6, 5), "paths: 6 elements, at most 5 are allowed"},
	} {
		if tc.want == "" && tc.err != nil || tc.want != "" && (!fault.Is(tc.err, fault.Invalid) || tc.err.Error() != tc.want) {
			t.Errorf("%v, want %q", tc.err, tc.want)
		}
	}
}
