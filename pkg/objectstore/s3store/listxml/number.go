package listxml

import (
	"encoding/binary"
	"time"
)

// Years whose times fit in an int64 of nanoseconds.
const minYear, maxYear = 1678, 2261

// parseSize parses the decimal number at the start of text. It returns the number and
// its length, which is 0 if text does not start with a digit.
func parseSize(text []byte) (size int64, n int) {
	const longest = 18
	for n < min(len(text), longest) && text[n]-'0' <= 9 {
		size = size*10 + int64(text[n]-'0')
		n++
	}
	return size, n
}

// parseTime parses the time at the start of text, which has the form
// 2006-01-02T15:04:05Z, or the same with a fraction of up to nine digits. It returns the
// nanoseconds since the Unix epoch and the length of the time, which is 0 if text has
// another form.
func parseTime(text []byte) (ns int64, n int) {
	const whole = "2006-01-02T15:04:05"
	if len(text) <= len(whole) {
		return 0, 0
	}
	date, ok1 := dateForm.read(text)
	hours, ok2 := hoursForm.read(text[8:])
	clock, ok3 := clockForm.read(text[11:])
	year, month, day := 100*pair(date, 0)+pair(date, 2), pair(date, 5), pair(hours, 0)
	hour, minute, second := pair(clock, 0), pair(clock, 3), pair(clock, 6)
	if !ok1 || !ok2 || !ok3 || !isDate(year, month, day) || hour > 23 || minute > 59 || second > 59 {
		return 0, 0
	}
	ns, n = fraction(text[len(whole):])
	if n += len(whole); n >= len(text) || text[n] != 'Z' {
		return 0, 0
	}
	seconds := ((daysSinceEpoch(year, month, day)*24+hour)*60+minute)*60 + second
	return seconds*int64(time.Second) + ns, n + 1
}

// isDate reports whether there is such a day, and its times fit.
func isDate(year, month, day int64) bool {
	return year >= minYear && year <= maxYear && month >= 1 && month <= 12 &&
		day >= 1 && (day <= 28 || day <= daysIn(year, month))
}

// form is a pattern of eight bytes: any digit where the example has a 0, and the
// example's byte elsewhere.
type form struct{ example, limit uint64 }

// The forms of parts of a time.
var dateForm, hoursForm, clockForm = newForm("0000-00-"), newForm("00T00:00"), newForm("00:00:00")

func newForm(example string) (f form) {
	f.example = binary.LittleEndian.Uint64([]byte(example))
	for i := range 8 {
		limit := uint64(0x80 - 1) // added to the least byte that is too large, it makes 0x80
		if example[i] == '0' {
			limit = 0x80 - 10
		}
		f.limit |= limit << (8 * i)
	}
	return f
}

// read reports whether the first eight bytes of text match the form. It also returns
// these bytes, with digits replaced by their values.
func (f form) read(text []byte) (bytes uint64, ok bool) {
	const tops = 0x8080808080808080
	bytes = binary.LittleEndian.Uint64(text) ^ f.example
	return bytes, (bytes|(bytes&^tops+f.limit))&tops == 0
}

// pair returns the number that the digits at i and i+1 make.
func pair(bytes uint64, i int) int64 {
	return int64(bytes>>(8*i)&0xff)*10 + int64(bytes>>(8*i+8)&0xff)
}

// fraction parses the fraction of a second, with its dot, at the start of text. It returns
// nanoseconds and the length of the fraction.
func fraction(text []byte) (ns int64, n int) {
	if text[0] != '.' {
		return 0, 0
	}
	unit := int64(time.Second)
	for n = 1; n < min(len(text), 10) && text[n]-'0' <= 9; n++ {
		unit /= 10
		ns += unit * int64(text[n]-'0')
	}
	if n == 1 {
		return 0, 0 // only a dot
	}
	return ns, n
}

func daysIn(year, month int64) int64 {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysSinceEpoch returns the number of days since 1970-01-01. It counts in years that
// start in March, so that a leap day is the last day of its year.
func daysSinceEpoch(year, month, day int64) int64 {
	const daysToEpoch = 719468 // from 0000-03-01
	if month < 3 {
		year--
		month += 12
	}
	return year*365 + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - daysToEpoch
}
