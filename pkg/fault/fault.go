// Package fault is the errors that are the caller's to mend, or to understand.
// Whatever is not a fault is an error of the service: a caller can only try again.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what the caller can do about a fault.
type Kind int

// The kinds of faults.
const (
	Invalid  Kind = iota + 1 // mend the request: Field names what is wrong
	NotFound                 // name something that exists
	Conflict                 // look at the present state and decide anew
	Later                    // try again: what Field names does not answer now
	Busy                     // try again: as much of this is being done as may be at a time
	Broken                   // have an operator mend the record that Text names: it cannot be read
)

// Fault is an error that the caller can mend.
type Fault struct {
	Kind  Kind
	Field string // the field of the request, as the API names it; "" if no single one
	Text  string // one sentence without the field's name
}

// Error returns the text, led by the field if there is one.
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

// ComeBack returns a Later fault of the field.
func ComeBack(field, format string, args ...any) error {
	return &Fault{Kind: Later, Field: field, Text: fmt.Sprintf(format, args...)}
}

// TooMany returns a Busy fault.
func TooMany(format string, args ...any) error {
	return &Fault{Kind: Busy, Text: fmt.Sprintf(format, args...)}
}

// Unreadable returns a Broken fault of a record that cannot be decoded, by its bucket and
// key.
func Unreadable(bucket, key string, err error) error {
	return &Fault{Kind: Broken, Text: fmt.Sprintf("the record %s of the bucket %s cannot be decoded: %v", key, bucket, err)}
}

// Is reports whether err is, or wraps, a fault of the kind.
func Is(err error, kind Kind) bool {
	var f *Fault
	return errors.As(err, &f) && f.Kind == kind
}
