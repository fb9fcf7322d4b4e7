package listxml

import "time"

// Years of which every nanosecond has a number.
const minYear, maxYear = 1678, 2261

// parseSize parses a number of bytes in its usual form.
func parseSize(text []byte) (n int64, ok bool) {
	if len(text) == 0 || len(text) > 18 {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// parseTime returns the nanoseconds since the Unix epoch of a time in its usual
// form: 2006-01-02T15:04:05Z, or with a fraction of up to nine digits.
func parseTime(text []byte) (ns int64, ok bool) {
	const whole = "2006-01-02T15:04:05"
	last := len(text) - 1
	if last < len(whole) || text[last] != 'Z' ||
		text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':' {
		return 0, false
	}
	century, ok1 := pair(text[0:])
	year, ok2 := pair(text[2:])
	month, ok3 := pair(text[5:])
	day, ok4 := pair(text[8:])
	hour, ok5 := pair(text[11:])
	minute, ok6 := pair(text[14:])
	second, ok7 := pair(text[17:])
	year += 100 * century
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 || !ok7 ||
		year < minYear || year > maxYear || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) ||
		hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	ns, ok = fraction(text[len(whole):last])
	seconds := ((daysSinceEpoch(year, month, day)*24+hour)*60+minute)*60 + second
	return seconds*int64(time.Second) + ns, ok
}

// pair returns the number that two digits make.
func pair(text []byte) (n int64, ok bool) {
	tens, ones := text[0]-'0', text[1]-'0'
	return int64(tens)*10 + int64(ones), tens <= 9 && ones <= 9
}

// fraction returns the nanoseconds of a fraction of a second, with its dot.
func fraction(text []byte) (ns int64, ok bool) {
	if len(text) == 0 {
		return 0, true
	}
	if text[0] != '.' || len(text) < 2 || len(text) > 10 {
		return 0, false
	}
	unit := int64(time.Second)
	for _, c := range text[1:] {
		if c < '0' || c > '9' {
			return 0, false
		}
		unit /= 10
		ns += unit * int64(c-'0')
	}
	return ns, true
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

// daysSinceEpoch counts the days from 1970-01-01, in years that start in March,
// so that a leap day is the last of its year.
func daysSinceEpoch(year, month, day int64) int64 {
	const daysToEpoch = 719468 // from 0000-03-01
	if month < 3 {
		year--
		month += 12
	}
	return year*365 + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - daysToEpoch
}
