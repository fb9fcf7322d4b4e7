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

// A special case of an error is that error, too, and permanent if that is.
func TestSpecialCases(t *testing.T) {
	for special, of := range map[error]error{objectstore.ErrSettings: objectstore.ErrRefused, objectstore.ErrBadKey: objectstore.ErrBadListing} {
		if !errors.Is(special, of) || errors.Is(of, special) || !objectstore.Permanent(special) {
			t.Errorf("%v is %v: %v", special, of, errors.Is(special, of))
		}
	}
}
