package natsconn

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Protocol is the version of what the processes of a fleet exchange: partitions,
// covers, records of imports and what they mean. It grows with each change that an
// older process would misread, and only then. All processes of a fleet have the same
// version.
const Protocol = 2

// ErrProtocol says that something was written by a process of another protocol
// version. It is refused and left as it is, for a process that can read it.
var ErrProtocol = errors.New("another version of the protocol")

// Where the version is written: in each message, and in the metadata of streams.
const (
	headerProtocol   = "Rangefleet-Protocol"
	metadataProtocol = "rangefleet.protocol"
)

// Header returns the header of a message that other processes must understand.
func (c *Conn) Header() nats.Header {
	return nats.Header{headerProtocol: {strconv.Itoa(c.cfg.Protocol)}}
}

// Metadata returns the metadata of a stream whose messages bear the version. Ensure
// does not take such a stream over from another version while it holds messages.
func (c *Conn) Metadata() map[string]string {
	return map[string]string{metadataProtocol: strconv.Itoa(c.cfg.Protocol)}
}

// CheckMessage returns ErrProtocol unless a message has this process's version. One
// without a version predates them. What names the message in the error.
func (c *Conn) CheckMessage(what string, header nats.Header) error {
	return c.checkVersion(what, header.Get(headerProtocol))
}

// CheckStream returns ErrProtocol if the fleet has another version.
func (c *Conn) CheckStream(info *jetstream.StreamInfo) error {
	return c.checkVersion("the fleet's queue", info.Config.Metadata[metadataProtocol])
}

// checkVersion returns ErrProtocol unless the version of something is this process's.
func (c *Conn) checkVersion(what, version string) error {
	ours := c.cfg.Protocol
	theirs, err := strconv.Atoi(cmp.Or(version, "0"))
	if err == nil && theirs == ours {
		return nil
	}
	c.metrics.refused.Inc()
	if err != nil {
		return fmt.Errorf("%s: version %q: %w", what, version, ErrProtocol)
	}
	advice := "this process is the older one: upgrade it"
	if theirs < ours {
		advice = "this process is the newer one: let what runs end, and stop what is older, before it starts"
	}
	return fmt.Errorf("%s: %w: it is of version %d and this process speaks %d; %s", what, ErrProtocol, theirs, ours, advice)
}

// validToken is what the IDs of imports and partitions match, as parts of subjects.
var validToken = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// CheckTokens returns an error unless each ID can be a token of a subject.
func CheckTokens(ids ...string) error {
	for _, id := range ids {
		if !validToken.MatchString(id) {
			return fmt.Errorf("%q is no valid ID: want letters, digits, '-' and '_'", id)
		}
	}
	return nil
}
