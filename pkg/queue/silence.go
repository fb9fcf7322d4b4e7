package queue

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrSilent says that NATS is reached and yet did not answer a call, for all its tries.
// It may answer others: each stream has a leader of its own.
var ErrSilent = errors.New("NATS is reached, but has no quorum, or JetStream there does not answer: nothing is lost")

var errUnreached = errors.New("NATS is out of reach")

// NATS is silent once it was tried in vain for silentAfter, which most elections do
// not take, and for as long as it is tried: silentFor is longer than a try and the
// wait for the next one.
const (
	silentAfter = attemptTimeout
	silentFor   = 2 * attemptTimeout
)

// silence is how long NATS is reached and yet of no use. It goes by calls that are made
// anyway: a coordinator renews its lease all the time, and a worker pulls. Not every
// success ends it, since a server that has lost its cluster answers reads for a while.
// The zero value is of a NATS that answers.
type silence struct {
	proven      time.Time // when a call succeeded last that proves the contrary
	since, last time.Time // when the first try in vain after that began, and when the last one ended
}

// note takes note of a try that has ended now, and whether its success is a proof.
func (s *silence) note(begun, now time.Time, err error, proof bool) {
	switch {
	case err == nil && proof:
		*s = silence{proven: now}
	case answered(err):
	default:
		if now.Sub(s.last) > silentFor { // it is the first one
			s.since = begun
			if begun.Before(s.proven) {
				s.since = s.proven
			}
		}
		s.last = now
	}
}

// lasts reports whether NATS is silent.
func (s *silence) lasts(now time.Time) bool {
	return s.last.Sub(s.since) >= silentAfter && now.Sub(s.last) <= silentFor
}

// answered reports whether a try was answered, be it that there is no room, or ended
// by whoever made it or by the connection, so that it says nothing.
func answered(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode != noPeers && api.ErrorCode != notAvailable
	}
	return err == nil || permanent(err) || errors.Is(err, context.Canceled) || errors.Is(err, nats.ErrDisconnected) || errors.Is(err, errBehind)
}

// notAvailable is what a cluster answers that has no leader.
const notAvailable = 10008
