package ident_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/ident"
)

// Every kind of item, byte by byte. test/lakefs checks that lakeFS encodes them in the same
// way.
func TestItems(t *testing.T) {
	tests := []struct {
		name  string
		write func(*ident.Writer)
		items string // hex
	}{
		{"nothing", func(*ident.Writer) {}, ""},
		{"int64", func(w *ident.Writer) { w.Int64(258) }, "02 08 0000000000000102"},
		{"negative int64", func(w *ident.Writer) { w.Int64(-2) }, "02 08 fffffffffffffffe"},
		{"bytes", func(w *ident.Writer) { w.Bytes([]byte{0xff, 0}) }, "00 02 08 0000000000000002 ff00"},
		{"string", func(w *ident.Writer) { w.String("é") }, "01 02 08 0000000000000002 c3a9"},
		{"empty string", func(w *ident.Writer) { w.String("") }, "01 02 08 0000000000000000"},
		{
			"string slice", func(w *ident.Writer) { w.StringSlice([]string{"b", "a"}) },
			"03 02 08 0000000000000002  01 02 08 0000000000000001 62  01 02 08 0000000000000001 61",
		},
		{
			"string map", func(w *ident.Writer) { w.StringMap(map[string]string{"b": "", "a": "x"}) },
			"04 02 08 0000000000000002" +
				"01 02 08 0000000000000001 61  01 02 08 0000000000000001 78" +
				"01 02 08 0000000000000001 62  01 02 08 0000000000000000",
		},
		{"nil map", func(w *ident.Writer) { w.StringMap(nil) }, "04 02 08 0000000000000000"},
		{"chain", func(w *ident.Writer) { w.Int64(1).String("a").Bytes(nil) }, "02 08 0000000000000001" +
			"01 02 08 0000000000000001 61  00 02 08 0000000000000000"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := sha256.Sum256(unhex(t, test.items))
			var w ident.Writer
			test.write(&w)
			if got := w.Sum(); string(got) != string(want[:]) {
				t.Errorf("sum %x, want %x", got, want)
			}
			if again := w.Sum(); string(again) != string(want[:]) {
				t.Errorf("second sum %x, want %x", again, want)
			}
		})
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
