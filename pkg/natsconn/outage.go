package natsconn

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrUnresponsive says that NATS is reached and yet answered no attempt of a call. It
// may answer other calls: each stream has a leader of its own.
var ErrUnresponsive = errors.New("NATS is reached, but has no quorum, or JetStream there does not answer: nothing is lost")

// An outage begins once attempts have failed for outageAfter, longer than most elections
// take. It ends with a success that proves that NATS responds, and at the latest
// outageFor after the last failed attempt: longer than an attempt and the wait for the
// next one.
const (
	outageAfter = AttemptTimeout
	outageFor   = 2 * AttemptTimeout
)

// outageDetector detects that NATS is reached and does not respond. It observes calls
// that are made anyway: a coordinator renews its lease all the time, and a worker
// pulls. Only some successes prove that an outage is over, since a server that has
// lost its cluster still answers reads for a while. The zero value has detected none.
type outageDetector struct {
	proven      time.Time // when a call succeeded last that proves that NATS responds
	since, last time.Time // when the first failed attempt after that began, and when the last one ended
}

// attempted records an attempt that has ended now, and whether its success is a proof.
func (d *outageDetector) attempted(begun, now time.Time, err error, proof bool) {
	switch {
	case err == nil && proof:
		*d = outageDetector{proven: now}
	case answered(err):
	default:
		if now.Sub(d.last) > outageFor { // the first failure
			d.since = begun
			if begun.Before(d.proven) {
				d.since = d.proven
			}
		}
		d.last = now
	}
}

// detected reports whether there is an outage.
func (d *outageDetector) detected(now time.Time) bool {
	return d.last.Sub(d.since) >= outageAfter && now.Sub(d.last) <= outageFor
}

// answered reports whether an attempt is no evidence of an outage: NATS answered, be it
// with an error, or the caller or a lost connection ended the attempt.
func answered(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode != noPeers && api.ErrorCode != notAvailable
	}
	return err == nil || permanent(err) || errors.Is(err, context.Canceled) || errors.Is(err, nats.ErrDisconnected) || errors.Is(err, ErrBehind)
}

// Codes of answers that the client does not name.
const (
	noPeers      = 10005 // of a cluster in which too few servers are up yet
	notAvailable = 10008 // of a cluster that has no leader
	notClustered = 10074 // of a server that is alone
)

// proofs are the operations whose success proves that NATS responds: they take most
// servers of a cluster. So does the lookup of a consumer, which a worker without work
// does only after its pull request was not answered.
var proofs = []string{"publish", "cover", "write", opPull}
