package client

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

// Unreachable is the error of a call that got no answer.
type Unreachable struct {
	Endpoint string // as it was configured
	Err      error  // of the last attempt
	Unsent   bool   // no attempt of the call can have had an effect
}

// Error names the endpoint and the reason, but not the call.
func (e *Unreachable) Error() string {
	if Untrusted(e.Err) || errors.Is(e.Err, http.ErrSchemeMismatch) {
		return e.Endpoint + ": " + e.Reason()
	}
	return "no coordinator answers at " + e.Endpoint + ": " + e.Reason()
}

// Unwrap returns the error of the call.
func (e *Unreachable) Unwrap() error { return e.Err }

// Reason returns in a few words why there was no answer.
func (e *Unreachable) Reason() string {
	err := e.Err
	if call, ok := errors.AsType[*url.Error](err); ok {
		if call.Timeout() {
			return "no answer in time"
		}
		err = call.Err
	}
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		return name.Err
	}
	if refused, ok := errors.AsType[*os.SyscallError](err); ok {
		return refused.Err.Error()
	}
	return err.Error()
}

// Refused reports whether a failed call certainly had no effect: there was no connection to
// send it over, or the service refused it as one too many. An earlier attempt of the same call
// may have had one.
func Refused(err error) bool {
	if answer, ok := errors.AsType[*Error](err); ok {
		return answer.Status == http.StatusTooManyRequests
	}
	connecting, ok := errors.AsType[*net.OpError](err)
	return ok && connecting.Op == "dial"
}

// unsent notes in the error of a call that no attempt can have had an effect.
func unsent(err error) error {
	if silent, ok := errors.AsType[*Unreachable](err); ok {
		silent.Unsent = true
	}
	return err
}

// RetryAfter returns how long the service asks to wait before the next call, at most a minute;
// 0 if it does not ask.
func RetryAfter(err error) time.Duration {
	answer, ok := errors.AsType[*Error](err)
	if !ok {
		return 0
	}
	return min(answer.retryAfter, mostAsked)
}
