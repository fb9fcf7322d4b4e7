package keyspace_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/internal/keyset"
	"github.com/rangefleet/rangefleet/pkg/keyspace"
)

func TestCodeKeepsKeysAndTheirOrder(t *testing.T) {
	for _, shape := range []string{"cjk", "awkward", "hive"} {
		set := keyset.Must(shape, 500, 1)
		var c keyspace.Code
		for i := range set.Len() / 2 {
			c.Add(set.Key(2 * i))
		}
		before := ""
		for i := range set.Len() {
			key := set.Key(i)
			code := c.Encode(key)
			if !utf8.ValidString(code) {
				t.Errorf("%s: %q is %q in code", shape, key, code)
			}
			if i%2 == 1 {
				continue // of characters that may never have been seen
			}
			if code <= before || c.Decode(code) != key {
				t.Errorf("%s: %q is %q in code, that is %q, and the key before %q", shape, key, code, c.Decode(code), before)
			}
			before = code
		}
	}
}

func TestCodeIsDense(t *testing.T) {
	var c keyspace.Code
	for _, k := range []string{"あ/𠀀", "é/z", "一/a"} {
		c.Add(k)
	}
	var a keyspace.Alphabet
	a.Reset(0, c.Encode("é/z"))
	c.Widen(&a)
	first, last := c.Encode("é"), c.Encode("𠀀")
	if far := a.Distance(first, last); far > a.Distance(first, c.Encode("一"))+1 {
		t.Errorf("the last of four characters lies e^%.1f from the first", far)
	}
	if k := c.Decode(c.Encode("い/b")); k != "一/b" {
		t.Errorf("a character that was never seen becomes %q, want the next that was", k)
	}
	if k := c.Decode(strings.Repeat("\u07ff", 2)); k != "" {
		t.Errorf("%q has a number that was not given", k)
	}
}

// sizeAt2 returns how many digits the alphabet of some words has at offset 2.
func sizeAt2(words string) int {
	var a keyspace.Alphabet
	a.Reset(1, strings.Fields(words)...)
	return a.Size(2)
}

func TestWordsThatDifferInManyLettersAreNoNames(t *testing.T) {
	if n := sizeAt2("xab xad xar xai xaf xak"); n != 26 {
		t.Errorf("%d letters at the end of random words, want all", n)
	}
	if n := sizeAt2("cat car can cab"); n != 4 {
		t.Errorf("%d letters at the end of four names, want theirs", n)
	}
}

func TestSignsOfBase64AreLettersWhereCasesAndDigitsMix(t *testing.T) {
	if n := sizeAt2("a/z9Qx-x a/_Q8y a/yZ-8zQ8"); n != 64 {
		t.Errorf("%d digits, want the 64 of base64", n)
	}
	if n := sizeAt2("a/z9Qxax a/yZbQ8 a/8zzYQ"); n != 62 {
		t.Errorf("%d digits without a sign, want letters and digits", n)
	}
	if n := sizeAt2("a/z9-x a/y_8y a/8zza"); n != 36 {
		t.Errorf("%d digits of words in lower case, want theirs", n)
	}
}
