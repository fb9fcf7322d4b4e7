package access

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/internal/seeded"
)

// twin is the regular expression of a pattern.
func twin(p pattern) *regexp.Regexp {
	text := regexp.QuoteMeta(string(p))
	return regexp.MustCompile("(?s)^" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(text) + "$")
}

func TestPatterns(t *testing.T) {
	for _, tc := range []struct {
		pattern pattern
		text    string
		want    bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "a/b/c", true},
		{"?", "", false},
		{"?", "é", true},
		{"?", "é/", false},
		{"a*c", "abcbc", true},
		{"a*c", "abcb", false},
		{"*a*b*", "xxaxxbxx", true},
		{"*a*b*", "xxbxxaxx", false},
		{"a?c", "a/c", true},
		{"**a", "ba", true},
		{"a**", "a", true},
		{"*??", "€", false},
		{"*?*?", "€", false},
		{"[a]", "a", false},
		{"A", "a", false},
		{`\*`, `\x`, true},
		{"s3://lake/team-a/*", "s3://lake/team-a-secret/x", false},
		{"s3://allowed*", "s3://allowed-evil/x", true},
	} {
		if got := tc.pattern.matches(tc.text); got != tc.want {
			t.Errorf("%q matches %q: %t", tc.pattern, tc.text, got)
		}
	}
}

func TestPrefixesOfPatterns(t *testing.T) {
	for _, tc := range []struct {
		pattern       pattern
		prefix        string
		covers, meets bool
	}{
		{"*", "", true, true},
		{"", "", false, true},
		{"", "a", false, false},
		{"a/*", "a/", true, true},
		{"a/*", "a/b", true, true},
		{"a/*", "a", false, true},
		{"a/*", "", false, true},
		{"a/*", "b", false, false},
		{"a/*/", "a/b/", false, true},
		{"a/b", "a/b", false, true},
		{"a/b", "a/", false, true},
		{"a/b", "a/b/", false, false},
		{"a/b", "a/c", false, false},
		{"*?", "a", true, true},
		{"*?", "", false, true},
		{"?*", "a", true, true},
		{"*?*?", "a", false, true},
		{"*?*?", "ab", true, true},
		{"a?", "a", false, true},
		{"a?", "aé", false, true},
		{"a?", "aéb", false, false},
		{"*/x", "a/x", false, true},
		{"*.parquet", "", false, true},
	} {
		if covers, meets := tc.pattern.covers(tc.prefix), tc.pattern.meets(tc.prefix); covers != tc.covers || meets != tc.meets {
			t.Errorf("%q below %q: covers %t, meets %t", tc.pattern, tc.prefix, covers, meets)
		}
	}
}

// The naive twin of prefixes tries all texts of a few characters below them. Of these, 'c' is in
// no pattern. A text that is longer than the pattern is as good as any longer one.
func TestPrefixesAgainstAllTexts(t *testing.T) {
	rnd := seeded.Rand(t)
	below := texts("abéc", 5)
	covered, met := 0, 0
	for range 3_000 {
		p, prefix := pattern(pick(rnd, "abé*?*", 5)), pick(rnd, "abéc", 4)
		re := twin(p)
		all, some := true, false
		for _, rest := range below {
			if ok := re.MatchString(prefix + rest); ok {
				some = true
			} else {
				all = false
			}
		}
		if p.covers(prefix) != all || p.meets(prefix) != some {
			t.Fatalf("%q below %q: covers %t, meets %t, want %t, %t", p, prefix, p.covers(prefix), p.meets(prefix), all, some)
		}
		if all {
			covered++
		}
		if some {
			met++
		}
	}
	if covered < 100 || met-covered < 100 || met > 2_900 {
		t.Errorf("of 3000 pairs %d are covered and %d met, which tests too little", covered, met)
	}
}

// texts returns all texts of at most n of the characters.
func texts(characters string, n int) []string {
	all := []string{""}
	for begin := 0; n > 0; n-- {
		end := len(all)
		for _, text := range all[begin:end] {
			for _, c := range characters {
				all = append(all, text+string(c))
			}
		}
		begin = end
	}
	return all
}

// pick returns a text of at most n of the characters.
func pick(rnd *rand.Rand, characters string, n int) string {
	of := []rune(characters)
	text := make([]rune, rnd.IntN(n+1))
	for i := range text {
		text[i] = of[rnd.IntN(len(of))]
	}
	return string(text)
}

func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{{"*a?*b", "aab"}, {"a/*", "a/b"}, {"*?", "é"}, {"???*", "ab"}, {"a\nb*", "a\nb"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, p, text string) {
		if !utf8.ValidString(p) || !utf8.ValidString(text) || len(p) > 100 {
			return
		}
		glob := pattern(p)
		if got, want := glob.matches(text), twin(glob).MatchString(text); got != want {
			t.Fatalf("%q matches %q: %t", p, text, got)
		}
		for i := range text {
			if below := text[:i]; glob.covers(below) && !glob.matches(text) || !glob.meets(below) && glob.matches(text) {
				t.Errorf("%q below %q: covers %t, meets %t, but matches %q: %t", p, below, glob.covers(below), glob.meets(below), text, glob.matches(text))
			}
		}
	})
}
