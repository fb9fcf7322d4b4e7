package ctl

import (
	"strconv"
	"time"
)

// grouped writes n with commas between thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// counted returns a number with its noun: "1 range", "2 ranges".
func counted(n int64, noun string) string { return grouped(n) + " " + plural(n, noun) }

func plural(n int64, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

// short writes a count that changes: exactly below 10,000, else with three digits, such as
// 12.3k or 410M.
func short(n int64) string {
	if n < 10_000 {
		return grouped(n)
	}
	return digits(float64(n), 1000, []string{"", "k", "M", "G", "T", "P", "E"})
}

// sized writes a number of bytes with three digits, such as 12.1 KiB.
func sized(bytes int64) string {
	if bytes < 1024 {
		return strconv.FormatInt(bytes, 10) + " B"
	}
	return digits(float64(bytes), 1024, []string{"", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"})
}

// exactly is sized with the exact number.
func exactly(bytes int64) string {
	if bytes < 1024 {
		return counted(bytes, "byte")
	}
	return sized(bytes) + " (" + grouped(bytes) + " bytes)"
}

// digits writes n, which is at least one base, with three digits and its unit.
func digits(n, base float64, units []string) string {
	unit := 0
	// 999.5 would be written as 1000.
	for n >= 999.5 && unit < len(units)-1 {
		n /= base
		unit++
	}
	places := 0
	if n < 9.995 {
		places = 2
	} else if n < 99.95 {
		places = 1
	}
	return strconv.FormatFloat(n, 'f', places, 64) + units[unit]
}

// lasting writes a duration for people: with tenths of a second only below ten seconds.
func lasting(d time.Duration) string {
	if d < 10*time.Second {
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	}
	return d.Truncate(time.Second).String()
}

// roughly writes a duration that was estimated, in one unit or two.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d.Round(time.Second)/time.Second)) + "s"
	case d < 10*time.Minute:
		return d.Round(10 * time.Second).String()
	}
	minutes := int(d.Round(time.Minute) / time.Minute)
	if minutes < 60 {
		return strconv.Itoa(minutes) + "m"
	}
	return strconv.Itoa(minutes/60) + "h" + strconv.Itoa(minutes%60) + "m"
}

// instant writes seconds since the Unix epoch, in UTC so that it is the same everywhere.
func instant(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.RFC3339) }
