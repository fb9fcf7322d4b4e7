package readahead

import (
	"encoding/base64"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
)

// keySet is a sorted set of keys, all with one prefix.
type keySet struct {
	prefix string
	keys   []string // less the prefix
}

func (s keySet) len() int         { return len(s.keys) }
func (s keySet) key(i int) string { return s.prefix + s.keys[i] }

// after returns how many keys are not greater than k.
func (s keySet) after(k string) int {
	if !strings.HasPrefix(k, s.prefix) {
		if k < s.prefix {
			return 0
		}
		return len(s.keys)
	}
	k = k[len(s.prefix):]
	return sort.Search(len(s.keys), func(i int) bool { return s.keys[i] > k })
}

// shape makes about n keys of one distribution.
type shape struct {
	name   string
	prefix string
	make   func(r *rand.Rand, n int) []string
}

func (s shape) keys(seed uint64, n int) keySet {
	keys := s.make(rand.New(rand.NewPCG(seed, 1)), n)
	if !slices.IsSorted(keys) {
		slices.Sort(keys)
	}
	return keySet{s.prefix, slices.Compact(keys)}
}

// each makes n keys, one at a time.
func each(one func(r *rand.Rand, i, n int) string) func(*rand.Rand, int) []string {
	return func(r *rand.Rand, n int) []string {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = one(r, i, n)
		}
		return keys
	}
}

func hexDigits(r *rand.Rand, n int) string {
	const digits = "0123456789abcdef"
	b := make([]byte, n)
	for i := range b {
		b[i] = digits[r.IntN(16)]
	}
	return string(b)
}

func uuid(r *rand.Rand) string {
	h := hexDigits(r, 32)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-" + h[16:20] + "-" + h[20:]
}

// shapes are the distributions on which splitters of key spaces are known to
// break.
var shapes = []shape{
	{name: "md5 flat", make: each(func(r *rand.Rand, _, _ int) string { return hexDigits(r, 32) })},
	{name: "uuid under one prefix", prefix: "data/objects/", make: each(func(r *rand.Rand, _, _ int) string { return uuid(r) })},
	{name: "hive date/hour/host", make: each(func(_ *rand.Rand, i, n int) string {
		const hosts, hours, days = 20, 24, 500
		file := i / (hosts * hours * days)
		i %= hosts * hours * days
		day := i / (hosts * hours)
		return fmt.Sprintf("logs/year=%d/month=%02d/day=%02d/hour=%02d/host-%02d.part-%04d.gz",
			2023+day/336, 1+day%336/28, 1+day%28, i/hosts%hours, i%hosts, file)
	})},
	{name: "zero-padded sequence", make: each(func(_ *rand.Rand, i, _ int) string { return fmt.Sprintf("img_%012d.jpg", i) })},
	{name: "unpadded integers", make: each(func(_ *rand.Rand, i, _ int) string { return fmt.Sprint(i) })},
	{name: "one dir holds 99%", make: each(func(r *rand.Rand, i, n int) string {
		if i < n/100 {
			return fmt.Sprintf("dir-%03d/%s", r.IntN(500), hexDigits(r, 12))
		}
		return "dir-137/" + hexDigits(r, 12)
	})},
	{name: "zipf tenants", make: func(r *rand.Rand, n int) []string {
		zipf := rand.NewZipf(r, 1.1, 1, 20000)
		return each(func(r *rand.Rand, _, _ int) string {
			return fmt.Sprintf("tenant-%05d/%s/%s", zipf.Uint64()*7919%20001, []string{"raw", "clean", "tmp"}[r.IntN(3)], uuid(r))
		})(r, n)
	}},
	{name: "200-byte common prefix", make: each(func(r *rand.Rand, _, _ int) string {
		return strings.Repeat("warehouse/teams/a1/", 10) + "warehouse/" + hexDigits(r, 16)
	})},
	{name: "deep tree, one key per dir", make: each(func(r *rand.Rand, _, _ int) string {
		var b strings.Builder
		for range 8 {
			fmt.Fprintf(&b, "%c%d/", 'a'+r.IntN(6), r.IntN(4))
		}
		return b.String() + hexDigits(r, 4) + "/file"
	})},
	{name: "ULID, time ordered", make: each(func(r *rand.Rand, i, _ int) string {
		const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
		b := make([]byte, 26)
		t := uint64(1_700_000_000_000) + uint64(i)*3500
		for j := 9; j >= 0; j-- {
			b[j] = digits[t&31]
			t >>= 5
		}
		for j := 10; j < 26; j++ {
			b[j] = digits[r.IntN(32)]
		}
		return string(b)
	})},
	{name: "CJK + emoji", make: each(func(r *rand.Rand, _, _ int) string {
		var b strings.Builder
		for range 3 + r.IntN(4) {
			if r.IntN(5) == 0 {
				b.WriteRune(rune(0x1F300 + r.IntN(0x2FF)))
			} else {
				b.WriteRune(rune(0x4E00 + r.IntN(0x51FF)))
			}
		}
		return b.String() + ".jpg"
	})},
	{name: "first page lies, mass in last dir", make: each(func(r *rand.Rand, i, n int) string {
		if i < n/100 {
			return fmt.Sprintf("archive/2019/%08d", i)
		}
		return "warehouse/events/" + hexDigits(r, 16)
	})},
	{name: "density rising to the end", make: each(func(r *rand.Rand, _, _ int) string {
		return fmt.Sprintf("%016d", uint64(1e16*math.Sqrt(math.Sqrt(r.Float64()))-1))
	})},
	{name: "base64 mixed case", make: each(func(r *rand.Rand, _, _ int) string {
		b := make([]byte, 15)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return base64.URLEncoding.EncodeToString(b)
	})},
	{name: "multifractal clusters", make: each(func(r *rand.Rand, _, _ int) string {
		// A binomial cascade: at every bit one half holds 70 %.
		var v uint64
		for i := range 64 {
			heavy := (v*0x9E3779B97F4A7C15+uint64(i)*0xD1B54A32D192ED03)>>63 == 1
			bit := uint64(0)
			if (r.Float64() < 0.7) == heavy {
				bit = 1
			}
			v = v<<1 | bit
		}
		return fmt.Sprintf("%016x", v)
	})},
	{name: "reverse timestamps at both ends", make: each(func(_ *rand.Rand, i, n int) string {
		if i < n/2 {
			return fmt.Sprintf("events/a/%019d", 9_223_372_036_854_775_807-int64(i)*1_000_003_777)
		}
		return fmt.Sprintf("events/z/%019d", 9_223_372_036_854_775_807-int64(i)*1_000_003_777)
	})},
	{name: "700 equal bytes then digits", prefix: strings.Repeat("x", 700), make: each(func(_ *rand.Rand, i, _ int) string {
		return fmt.Sprintf("%09d", i)
	})},
	{name: "runs of z of any length", make: each(func(r *rand.Rand, _, _ int) string {
		run := strings.Repeat("z", r.IntN(60))
		return run + string(rune('a'+r.IntN(25))) + hexDigits(r, 8)
	})},
}
