package once

import (
	"encoding/json"
	"time"
)

// formerPrefix starts the keys under which former versions remembered the answered requests of
// SAML, with their users. Sweep forgets these, too: no version that is current reads them.
const formerPrefix = "saml."

// formerEnd returns until when such a record is of use: a process of that version may still run.
func formerEnd(value []byte) (time.Time, error) {
	var r struct {
		Until time.Time `json:"until"`
	}
	err := json.Unmarshal(value, &r)
	return r.Until, err
}
