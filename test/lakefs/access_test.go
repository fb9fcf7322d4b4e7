package lakefs_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/treeverse/lakefs/pkg/auth"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/access"
)

// pairsVariable is the environment variable with the number of pairs that are compared.
const pairsVariable = "TEST_PAIRS"

// pairs returns how many pairs to compare.
func pairs(t *testing.T) int {
	t.Helper()
	text, ok := os.LookupEnv(pairsVariable)
	if !ok {
		return 20_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("read %s: %v", pairsVariable, err)
	}
	return n
}

// arn returns a random ARN, seldom a malformed one. Few values for each field make ARNs alike.
func arn(rnd *rand.Rand, resource string) string {
	one := func(usual string, others ...string) string {
		if rnd.IntN(20) > 0 {
			return usual
		}
		return others[rnd.IntN(len(others))]
	}
	fields := []string{
		one("arn", "", "ARN", " arn"), one("lakefs", "", "aws", "*"), one("fs", "auth", "", "*", "?s"),
		one("", "region", "*"), one("", "account", "*", "?"), one(resource, ""),
	}
	return strings.Join(fields[:len(fields)-rnd.IntN(40)/39], ":")
}

// word returns a text of at most n of the characters.
func word(rnd *rand.Rand, characters string, n int) string {
	of := []rune(characters)
	text := make([]rune, rnd.IntN(n+1))
	for i := range text {
		text[i] = of[rnd.IntN(len(of))]
	}
	return string(text)
}

// matching returns a text that the pattern matches, and sometimes changes a character of it.
func matching(rnd *rand.Rand, pattern, characters string) string {
	var b strings.Builder
	for _, c := range pattern {
		switch c {
		case '*':
			b.WriteString(word(rnd, characters, 4))
		case '?':
			b.WriteString(string([]rune(characters)[rnd.IntN(len([]rune(characters)))]))
		default:
			b.WriteRune(c)
		}
	}
	text := []rune(b.String())
	if len(text) > 0 && rnd.IntN(3) == 0 {
		text[rnd.IntN(len(text))] = []rune(characters)[rnd.IntN(len([]rune(characters)))]
	}
	return string(text)
}

// match parses two ARNs, and reports whether the first one matches the second one.
func match(pattern, name string) (ok, wellFormed bool) {
	a, err := access.ParseARN(pattern)
	b, err2 := access.ParseARN(name)
	if err != nil || err2 != nil {
		return false, false
	}
	return a.Matches(b), true
}

// Rangefleet finds the same ARNs to match as lakeFS. But a '*' of lakeFS may end within a character
// of several bytes, so that it matches more by patterns with '?'.
func TestARNsMatchAsInLakeFS(t *testing.T) {
	rnd := seeded.Rand(t)
	n := pairs(t)
	matched, malformed, more := 0, 0, 0
	for range n {
		alphabets := []struct{ wildcards, characters string }{{"ab/:*?", "ab/:"}, {"aé€/*", "aé€/"}, {"aé€*?", "aé€"}}
		kind := rnd.IntN(len(alphabets))
		resource := "repository/" + word(rnd, alphabets[kind].wildcards, 8)
		text := matching(rnd, resource, alphabets[kind].characters)
		if kind == 2 {
			text = "repository/" + word(rnd, alphabets[kind].characters, 4)
		}
		pattern, name := arn(rnd, resource), arn(rnd, text)
		got, wellFormed := match(pattern, name)
		switch want := auth.ArnMatch(pattern, name); {
		case got == want:
		case want && kind == 2:
			more++
		default:
			t.Fatalf("%q matches %q: %t, in lakeFS %t", pattern, name, got, want)
		}
		if got {
			matched++
		}
		if !wellFormed {
			malformed++
		}
	}
	t.Logf("of %d pairs %d match, %d are malformed, and %d match only in lakeFS", n, matched, malformed, more)
	if matched < n/4 || matched > 3*n/4 {
		t.Errorf("of %d pairs %d match, which tests too little", n, matched)
	}
	if ok, _ := match("arn:lakefs:fs:::*??", "arn:lakefs:fs:::€"); ok || !auth.ArnMatch("arn:lakefs:fs:::*??", "arn:lakefs:fs:::€") {
		t.Error("a character of several bytes is no longer one for Rangefleet, or no longer several for lakeFS")
	}
}

// Rangefleet reads the fields of ARNs as lakeFS does.
func TestARNsReadAsInLakeFS(t *testing.T) {
	rnd := seeded.Rand(t)
	for range pairs(t) {
		text := arn(rnd, word(rnd, "a/:é", 4))
		a, err := access.ParseARN(text)
		theirs, err2 := auth.ParseARN(text)
		if (err == nil) != (err2 == nil) || err == nil && a != (access.ARN{
			Service: theirs.Service, Region: theirs.Region, Account: theirs.AccountID, Resource: theirs.ResourceID,
		}) {
			t.Fatalf("%q reads as %+v, %v, in lakeFS as %+v, %v", text, a, err, theirs, err2)
		}
	}
}
