package keyset

import (
	"math"
	"math/bits"
	"slices"
	"strconv"
	"time"
)

// Shape is a distribution of keys.
type Shape struct {
	Name  string // lower-case letters and digits
	About string
	make  func(n int64, seed uint64) keyFunc
}

// shapes holds all shapes. Benchmarks use the first 18. The last one tests correctness.
var shapes = []Shape{
	{"md5", "hashes, flat", md5},
	{"uuid", "UUIDs under one prefix", uuid},
	{"hive", "logs by date, hour and host", hive},
	{"padded", "a zero-padded sequence", padded},
	{"unpadded", "integers without padding", unpadded},
	{"onedir", "one of 100 directories holds 99 %", oneDir},
	{"zipf", "1000 tenants, sizes by Zipf's law", zipf},
	{"prefix200", "200 common bytes, then hashes", prefix200},
	{"deep", "nine directories deep, one key in each", deep},
	{"ulid", "ULIDs, ordered by time", ulid},
	{"cjk", "Chinese characters, private use and emoji", cjk},
	{"firstlies", "19 small directories, then a huge one of another kind", firstLies},
	{"rising", "density that rises to the end", rising},
	{"base64", "URL-safe base64, mixed case", mixedCase},
	{"fractal", "multifractal clusters", fractal},
	{"reverse", "timestamps at the low end, reversed ones at the high end", reverse},
	{"equal700", "700 equal bytes, then digits", equal700},
	{"zruns", "runs of z of any length", zRuns},
	{"awkward", "control characters, spaces, characters that XML and URLs escape, surrogate traps", awkward},
}

// Shapes returns all shapes.
func Shapes() []Shape { return slices.Clone(shapes) }

// Names returns the names of all shapes.
func Names() []string {
	names := make([]string, len(shapes))
	for i, s := range shapes {
		names[i] = s.Name
	}
	return names
}

func md5(n int64, seed uint64) keyFunc { return flat(n, seed, "", hex, 22, 10) }

func prefix200(n int64, seed uint64) keyFunc {
	return flat(n, seed, repeated("warehouse/region=eu-central-1/team=analytics/", 199)+"/", hex, 12, 8)
}

func mixedCase(n int64, seed uint64) keyFunc { return flat(n, seed, "blobs/", base64, 12, 10) }

func uuid(n int64, seed uint64) keyFunc {
	return func(dst []byte, i int64) []byte {
		f, h := fraction(seed, i, n), mix(^seed, uint64(i))
		dst = append(dst, "data/objects/"...)
		dst, f = appendDigits(dst, f, hex, 8)
		dst, f = appendDigits(append(dst, '-'), f, hex, 4)
		dst, _ = appendDigits(append(dst, "-4"...), f, hex, 3)
		dst = append(dst, '-', "89ab"[h&3])
		dst = appendNoise(dst, mix(h, 0), hex, 3)
		dst = append(dst, '-')
		dst = appendNoise(dst, h, hex, 6)
		return appendNoise(dst, mix(h, 1), hex, 6)
	}
}

func hive(n int64, seed uint64) keyFunc {
	days := make([]string, 365)
	for d := range days {
		days[d] = time.UnixMilli(epoch).UTC().AddDate(0, 0, d).Format("dt=2006-01-02/")
	}
	// Most traffic is in the middle of the day.
	daily := func(x float64) float64 { return x - 0.12*math.Sin(2*math.Pi*x) }
	levels := []level{
		{len(days), from(days), evenly(len(days))},
		{24, numbered("hour=", 2, "/"), along(24, daily)},
		{40, numbered("host=web-", 3, "/"), evenly(40)},
	}
	return tree(n, seed, "logs/", levels, func(dst []byte, node uint64, i, _ int64) []byte {
		dst = appendPadded(append(dst, "part-"...), i, 9)
		dst = appendNoise(append(dst, '-'), mix(node, uint64(i)), hex, 8)
		return append(dst, ".gz"...)
	})
}

func padded(int64, uint64) keyFunc {
	return func(dst []byte, i int64) []byte {
		return append(appendPadded(append(dst, "frames/"...), i, 12), ".png"...)
	}
}

// unpadded has the numbers 1 to n in the order of their decimal digits.
func unpadded(n int64, _ uint64) keyFunc {
	return func(dst []byte, i int64) []byte {
		return append(strconv.AppendInt(append(dst, "order-"...), nthDecimal(n, i), 10), ".json"...)
	}
}

// nthDecimal returns the i-th, from 0, of the numbers 1 to n in the order of their decimal
// digits. It walks down the tree in which the children of p are 10p to 10p+9.
func nthDecimal(n, i int64) int64 {
	power, full := int64(1), int64(1) // 10^r, and the size of a subtree of r+1 levels
	for power <= n/10 {
		power *= 10
		full = full*10 + 1
	}
	for p := int64(1); ; p, i, power, full = p*10, i-1, power/10, full/10 {
		for ; ; p++ { // r levels below p reach the longest numbers
			size := full
			switch {
			case p*power > n:
				size = full / 10
			case (p+1)*power-1 > n:
				size = full/10 + n - p*power + 1
			}
			if i < size {
				break
			}
			i -= size
		}
		if i == 0 {
			return p
		}
	}
}

func oneDir(n int64, seed uint64) keyFunc {
	const dirs, huge = 100, 37
	share := func(_ uint64, n int64, c int) int64 {
		if c <= huge {
			return n * int64(c) / (100 * (dirs - 1))
		}
		return n - n*int64(dirs-c)/(100*(dirs-1))
	}
	return tree(n, seed, "", []level{{dirs, numbered("dir-", 2, "/"), share}}, sequence("img-", ".jpg"))
}

// sequence returns leaves numbered from 0.
func sequence(prefix, suffix string) leaf {
	return func(dst []byte, _ uint64, i, _ int64) []byte {
		return append(appendPadded(append(dst, prefix...), i, 11), suffix...)
	}
}

// hashes returns leaves that are hashes.
func hashes(prefix string) leaf {
	return func(dst []byte, node uint64, i, n int64) []byte {
		dst, _ = appendDigits(append(dst, prefix...), fraction(node, i, n), hex, 12)
		return appendNoise(dst, mix(^node, uint64(i)), hex, 4)
	}
}

func zipf(n int64, seed uint64) keyFunc {
	const tenants = 1000
	shares := make([]float64, tenants+1) // of the tenants before each one
	for c := range tenants {
		place := (uint64(c)*617 + seed) % tenants // 617 and 1000 have no common divisor: a permutation
		shares[c+1] = shares[c] + math.Pow(float64(place+1), -1.1)
	}
	share := func(_ uint64, n int64, c int) int64 {
		if c == tenants {
			return n
		}
		return int64(float64(n) * (shares[c] / shares[tenants]))
	}
	levels := []level{{tenants, numbered("tenant-", 4, "/"), share}}
	return tree(n, seed, "", levels, hashes("uploads/"))
}

func deep(n int64, seed uint64) keyFunc {
	return func(dst []byte, i int64) []byte {
		f := fraction(seed, i, n)
		dst = append(dst, "d/"...)
		for range 8 {
			dst, f = appendDigits(dst, f, hex, 2)
			dst = append(dst, '/')
		}
		return append(dst, "object"...)
	}
}

func ulid(n int64, seed uint64) keyFunc {
	const year = 365 * 24 * 3600 * 1000
	return func(dst []byte, i int64) []byte {
		ms, within := bits.Mul64(fraction(seed, i, n), year)
		dst = append(dst, "events/"...)
		for shift := 45; shift >= 0; shift -= 5 {
			dst = append(dst, base32[(epoch+ms)>>shift&31])
		}
		dst, _ = appendDigits(dst, within, base32, 10)
		return appendNoise(dst, mix(^seed, uint64(i)), base32, 6)
	}
}

func cjk(n int64, seed uint64) keyFunc {
	var alphabet []string
	add := func(first, last, step rune) {
		for r := first; r <= last; r += step {
			alphabet = append(alphabet, string(r))
		}
	}
	add('\u3041', '\u3096', 1)         // hiragana
	add('\u4e00', '\u9fa5', 31)        // Chinese
	add('\ue000', '\ue00f', 1)         // private use: after the emoji in UTF-16, before them in UTF-8
	add('\U0001f300', '\U0001f5ff', 3) // emoji
	add('\U00020000', '\U0002a000', 997)
	return func(dst []byte, i int64) []byte {
		f := fraction(seed, i, n)
		dst, f = appendRunes(append(dst, "文件/"...), f, alphabet, 2)
		dst, _ = appendRunes(append(dst, '/'), f, alphabet, 4)
		return append(dst, ".png"...)
	}
}

func firstLies(n int64, seed uint64) keyFunc {
	const small = 19
	share := func(_ uint64, n int64, c int) int64 {
		if c > small {
			return n
		}
		return n * int64(c) / (25 * small)
	}
	dense, wide := sequence("scan-", ".tif"), hashes("")
	return tree(n, seed, "archive/", []level{{small + 1, numbered("20", 2, "/"), share}},
		func(dst []byte, node uint64, i, n int64) []byte {
			if string(dst[len(dst)-5:]) == "2019/" {
				return wide(dst, node, i, n)
			}
			return dense(dst, node, i, n)
		})
}

func rising(n int64, seed uint64) keyFunc {
	const steps = 1000
	levels := []level{{steps, numbered("", 3, ""), along(steps, func(x float64) float64 { return x * x * x * x })}}
	return tree(n, seed, "points/", levels, hashes(""))
}

// fractal puts seven tenths of the keys into one half of the key space, and divides each half
// in the same way.
func fractal(n int64, seed uint64) keyFunc {
	const digits = 6 // hexadecimal, four halvings each
	rest := hashes("-")
	return func(dst []byte, i int64) []byte {
		n, node := n, seed
		dst = append(dst, "cells/"...)
		for range digits {
			digit := 0
			for range 4 {
				low := n * 3 / 10
				if node&1 == 0 {
					low = n - low
				}
				high := 0
				if i >= low {
					high, i, n = 1, i-low, n-low
				} else {
					n = low
				}
				digit = digit<<1 | high
				node = mix(node, uint64(high))
			}
			dst = append(dst, hex[digit])
		}
		return rest(dst, node, i, n)
	}
}

func reverse(n int64, seed uint64) keyFunc {
	const year = 365 * 24 * 3600 * 1_000_000 // microseconds
	const low, high = epoch * 1000, math.MaxInt64 - epoch*1000 - year
	return func(dst []byte, i int64) []byte {
		start, half, j := int64(low), n-n/2, i
		if i >= half {
			start, half, j = high, n/2, i-half
		}
		at, _ := bits.Mul64(fraction(seed, j, half), year)
		return append(appendPadded(append(dst, "row/"...), start+int64(at), 19), ".avro"...)
	}
}

func equal700(int64, uint64) keyFunc {
	root := repeated("e", 700)
	return func(dst []byte, i int64) []byte { return appendPadded(append(dst, root...), i, 12) }
}

func zRuns(n int64, seed uint64) keyFunc {
	const longest = 800
	runs := repeated("z", longest)
	name := func(dst []byte, c int) []byte { return append(dst, runs[:c]...) }
	// A run is a prefix of longer runs, but is never followed by a z.
	return tree(n, seed, "", []level{{longest, name, evenly(longest)}}, func(dst []byte, node uint64, i, n int64) []byte {
		dst, _ = appendDigits(dst, fraction(node, i, n), noZ, 10)
		return dst
	})
}

func awkward(n int64, seed uint64) keyFunc {
	alphabet := []string{
		"\x01", "\x08", "\t", "\n", "\r", "\x1f", " ", `"`, "#", "%", "&", "'", "+", "/", "<", "=", ">", "?",
		"A", `\`, "a", "~", "\x7f", "\u0085", "é", "\u2028", "\ue000", "\uffee", "\U00010000", "\U0001f600",
	}
	return func(dst []byte, i int64) []byte {
		f := fraction(seed, i, n)
		dst, f = appendRunes(append(dst, "odd "...), f, alphabet, 5)
		dst, _ = appendRunes(append(dst, "%2F+"...), f, alphabet, 5)
		return dst
	}
}
