package overlay

// pointFile is added to a package with points. CHAOS_POINT holds the point, before or after,
// the number of the pass (0 for every pass), and "kill" or the time to wait:
//
//	CHAOS_POINT=covers.Log.Publish/after/3/kill
//	CHAOS_POINT=queue.Task.Ack/before/1/5s
const pointFile = `package PACKAGE

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

var chaosPasses atomic.Int64

var chaosPlan = strings.Split(os.Getenv("CHAOS_POINT"), "/")

func chaosPoint(name string, after bool) {
	if len(chaosPlan) != 4 || chaosPlan[0] != name || (chaosPlan[1] == "after") != after {
		return
	}
	if pass, err := strconv.ParseInt(chaosPlan[2], 10, 64); err != nil || pass > 0 && chaosPasses.Add(1) != pass {
		return
	}
	if wait, err := time.ParseDuration(chaosPlan[3]); err == nil {
		time.Sleep(wait)
		return
	}
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	select {}
}
`

// clockFile is added to package time. CHAOS_CLOCK holds the start of a jump of the wall clock,
// in milliseconds of the machine's monotonic clock, its duration in milliseconds, and the
// distance in seconds. For instance, this sets the clock back by an hour for four seconds:
//
//	CHAOS_CLOCK=81000:4000:-3600
const clockFile = `package time

import "syscall"

var chaosFrom, chaosTo, chaosBy = chaosClock()

func chaosClock() (from, to, by int64) {
	text, ok := syscall.Getenv("CHAOS_CLOCK")
	if !ok {
		return 0, 0, 0
	}
	var numbers [3]int64
	sign, at := int64(1), 0
	for i := 0; i < len(text) && at < len(numbers); i++ {
		switch c := text[i]; {
		case c == ':':
			numbers[at] *= sign
			sign = 1
			at++
		case c == '-':
			sign = -1
		case c >= '0' && c <= '9':
			numbers[at] = 10*numbers[at] + int64(c-'0')
		}
	}
	numbers[2] *= sign
	return numbers[0] * 1e6, (numbers[0] + numbers[1]) * 1e6, numbers[2]
}

func chaosShift(mono int64) int64 {
	if chaosBy != 0 && mono >= chaosFrom && mono < chaosTo {
		return chaosBy
	}
	return 0
}
`
