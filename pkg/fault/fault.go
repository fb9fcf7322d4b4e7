// Package fault defines errors that are caused by a request, and that its sender can act
// on. Any other error is internal to the service: the sender can only try again. Its
// kinds become HTTP status codes in pkg/server.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what the caller can do about a fault.
type Kind int

// The kinds of faults.
const (
	Invalid   Kind = iota + 1 // correct the request: Field names what is wrong
	NotFound                  // name something that exists
	Conflict                  // read the current state and decide again
	Later                     // try again: what Field names is not available now
	Busy                      // try again: too much of this is being done at the moment
	Denied                    // have the permission granted that Text names
	Forbidden                 // ask an operator: this may not be done here, for the reason of Text
	Gone                      // nothing: what was there is there no more
	Broken                    // have an operator repair the record that Text names: it cannot be decoded
)

// Fault is an error that the sender of a request can act on.
type Fault struct {
	Kind  Kind
	Field string // of the request, as the API names it; "" if the fault is not about one field
	Text  string // one sentence without the field's name
}

// Error returns the text, preceded by the field if there is one.
func (f *Fault) Error() string {
	if f.Field == "" {
		return f.Text
	}
	return f.Field + ": " + f.Text
}

// BadField returns an Invalid fault of the field.
func BadField(field, format string, args ...any) error {
	return &Fault{Kind: Invalid, Field: field, Text: fmt.Sprintf(format, args...)}
}

// Missing returns a NotFound fault: "repository not found".
func Missing(what string) error {
	return &Fault{Kind: NotFound, Text: what + " not found"}
}

// Conflicting returns a Conflict fault.
func Conflicting(format string, args ...any) error {
	return &Fault{Kind: Conflict, Text: fmt.Sprintf(format, args...)}
}

// Unavailable returns a Later fault of the field.
func Unavailable(field, format string, args ...any) error {
	return &Fault{Kind: Later, Field: field, Text: fmt.Sprintf(format, args...)}
}

// TooMany returns a Busy fault.
func TooMany(format string, args ...any) error {
	return &Fault{Kind: Busy, Text: fmt.Sprintf(format, args...)}
}

// Vanished returns a Gone fault.
func Vanished(format string, args ...any) error {
	return &Fault{Kind: Gone, Text: fmt.Sprintf(format, args...)}
}

// Deny returns a Denied fault.
func Deny(format string, args ...any) error {
	return &Fault{Kind: Denied, Text: fmt.Sprintf(format, args...)}
}

// Forbid returns a Forbidden fault.
func Forbid(format string, args ...any) error {
	return &Fault{Kind: Forbidden, Text: fmt.Sprintf(format, args...)}
}

// Unreadable returns a Broken fault of a record, named by its bucket and key, that cannot be
// decoded.
func Unreadable(bucket, key string, err error) error {
	return &Fault{Kind: Broken, Text: fmt.Sprintf("the record %s of the bucket %s cannot be decoded: %v", key, bucket, err)}
}

// Is reports whether err is, or wraps, a fault of the kind.
func Is(err error, kind Kind) bool {
	var f *Fault
	return errors.As(err, &f) && f.Kind == kind
}
