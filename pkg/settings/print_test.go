package settings

import (
	"strings"
	"testing"
)

// Print writes a file that loads to the same settings.
func TestPrintLoadsBack(t *testing.T) {
	first, _, err := given{env: []string{
		"RANGEFLEET_LOCAL_ALLOWED=/a b,/c#d", "RANGEFLEET_S3_REGION=true", "RANGEFLEET_LOG_LEVEL=error",
		"RANGEFLEET_NATS_STORE_DIR=/x: y", "RANGEFLEET_WORKERS=3",
	}}.load(t)
	if err != nil {
		t.Fatal(err)
	}
	var printed strings.Builder
	if err := first.Print(&printed); err != nil {
		t.Fatal(err)
	}
	second, _, err := given{file: printed.String()}.load(t)
	if err != nil {
		t.Fatalf("loading %s: %v", printed.String(), err)
	}
	for _, k := range keys {
		if a, b := k.value(&first).String(), k.value(&second).String(); a != b {
			t.Errorf("%s: %q printed and loaded is %q", k.name, a, b)
		}
	}
}
