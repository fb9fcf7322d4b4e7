package doctor

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// How far clocks may be apart.
const (
	skewSeen   = 5 * time.Second  // less than that may be the network, and the resolution of a date
	skewRefuse = 15 * time.Minute // S3 refuses requests with signatures that are older
)

// date reports how far the clock of an HTTP server is from this machine's, by the Date of an
// answer to a request without credentials, whatever it is.
func (d *doctor) date(ctx context.Context, name, url string, refuses bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return // the check of the service says what is wrong
	}
	begun := time.Now()
	resp, err := d.HTTP.RoundTrip(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	at, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return
	}
	d.skew(name, at.Add(time.Second/2).Sub(begun.Add(time.Since(begun)/2)), refuses)
}

// skew reports how far a clock is before this machine's. A service may refuse requests that
// are too old.
func (d *doctor) skew(name string, ahead time.Duration, refuses bool) {
	const area = "clock"
	side, by := "ahead of", ahead
	if ahead < 0 {
		side, by = "behind", -ahead
	}
	text := fmt.Sprintf("the clock of %s is %s %s this machine's", name, by.Round(time.Second/10), side)
	switch {
	case by < skewSeen:
		d.ok(area, name, fmt.Sprintf("the clocks of %s and this machine agree within %s", name, skewSeen))
	case refuses && by >= skewRefuse:
		d.fail(area, name, text, "set the clocks by NTP: requests that are signed so far from its time are refused")
	default:
		d.warn(area, name, text, "set the clocks by NTP")
	}
}
