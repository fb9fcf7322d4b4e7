package ident_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/ident"
)

// Every kind of item, byte by byte. test/lakefs checks that lakeFS encodes them in the same
// way.
func TestItems(t *testing.T) {
	text := func(s string) []byte { return ident.AppendString(nil, s) }
	for name, test := range map[string]struct {
		items []byte
		want  string // hex
	}{
		"int64":          {ident.AppendInt64(nil, 258), "02 08 0000000000000102"},
		"negative int64": {ident.AppendInt64(nil, -2), "02 08 fffffffffffffffe"},
		"string":         {text("é"), "01 02 08 0000000000000002 c3a9"},
		"bytes":          {ident.AppendString(nil, []byte("é")), "01 02 08 0000000000000002 c3a9"},
		"empty string":   {text(""), "01 02 08 0000000000000000"},
		"identity":       {ident.AppendIdentity(nil, []byte{0xff, 0}), "05 00 02 08 0000000000000002 ff00"},
		"string slice": {
			ident.AppendStringSlice(nil, []string{"b", "a"}),
			"03 02 08 0000000000000002  01 02 08 0000000000000001 62  01 02 08 0000000000000001 61",
		},
		"string map": {
			ident.AppendStringMap(nil, map[string]string{"b": "", "a": "x"}),
			"04 02 08 0000000000000002" +
				"01 02 08 0000000000000001 61  01 02 08 0000000000000001 78" +
				"01 02 08 0000000000000001 62  01 02 08 0000000000000000",
		},
		"nil map": {ident.AppendStringMap(nil, nil), "04 02 08 0000000000000000"},
		"two items": {
			ident.AppendInt64(text("a"), 1),
			"01 02 08 0000000000000001 61  02 08 0000000000000001",
		},
	} {
		if want := unhex(t, test.want); !bytes.Equal(test.items, want) {
			t.Errorf("%s: %x, want %x", name, test.items, want)
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	var digits []byte
	for _, c := range []byte(s) {
		if c != ' ' {
			digits = append(digits, c)
		}
	}
	b, err := hex.AppendDecode(nil, digits)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
