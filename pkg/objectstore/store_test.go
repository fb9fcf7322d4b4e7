package objectstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

func TestTimeFits(t *testing.T) {
	for text, want := range map[string]bool{
		"1677-09-21T00:12:43.145224192Z": true,
		"1677-09-21T00:12:43.145224191Z": false,
		"1970-01-01T00:00:00+02:00":      true,
		"2262-04-11T23:47:16.854775807Z": true,
		"2262-04-11T23:47:16.854775808Z": false,
		"2400-01-01T00:00:00Z":           false,
		"0001-01-01T00:00:00Z":           false,
		"9999-12-31T23:59:59Z":           false,
	} {
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil || objectstore.TimeFits(at) != want {
			t.Errorf("%s fits: %v, %v, want %v", text, objectstore.TimeFits(at), err, want)
		}
	}
}

// What is an error of a kind is one of what the kind belongs to, and permanent.
func TestKinds(t *testing.T) {
	for kind, of := range map[error]error{objectstore.ErrSettings: objectstore.ErrRefused, objectstore.ErrBadKey: objectstore.ErrBadListing} {
		if !errors.Is(kind, of) || errors.Is(of, kind) || !objectstore.Permanent(kind) {
			t.Errorf("%v is %v: %v", kind, of, errors.Is(kind, of))
		}
	}
}
