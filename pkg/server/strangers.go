package server

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// errStrangers says that an address sends too many requests that prove no user.
var errStrangers = errors.New("too many requests without valid credentials")

// refusalDelay is how long the answer to one of too many requests of an address is held back, by
// half of it more or less. So a flood over a number of connections costs little more than these,
// and its requests do not come all at once again.
const refusalDelay = 200 * time.Millisecond

// strangers bounds the requests of each address that prove no user.
type strangers struct {
	proxies   Proxies
	rates     *rates // by address
	lingering slots  // for answers to too many requests
}

func newStrangers(proxies Proxies, now func() time.Time) strangers {
	return strangers{proxies, newRates(limits.FailedLogins, limits.FailedLoginsBurst, now), make(slots, limits.LingeringRefusals)}
}

// admit counts a request that proves no user. The error is errStrangers if there were too many.
func (s strangers) admit(r *http.Request) error {
	if !s.rates.take(network(s.proxies.client(r))) {
		return errStrangers
	}
	return nil
}

// giveBack takes back that a request was counted, as it has proved a user.
func (s strangers) giveBack(r *http.Request) { s.rates.giveBack(network(s.proxies.client(r))) }

// linger holds back the answer to a request of which its address sends too many.
func (s strangers) linger(r *http.Request) {
	if !s.lingering.tryAcquire() {
		return
	}
	defer s.lingering.release()
	awaitOther(r, func() { _ = pause.For(r.Context(), refusalDelay/2+rand.N(refusalDelay)) })
}
