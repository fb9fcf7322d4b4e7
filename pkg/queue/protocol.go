package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Protocol is the version of what the processes of a fleet tell each other:
// partitions, covers, records of imports and what they mean. It grows with each
// change that a process of before would get wrong, and only then. All processes
// of a fleet speak one version.
const Protocol = 2

// ErrProtocol says that something was made by a process of another protocol. It
// is refused and left as it is, for a process that can read it.
var ErrProtocol = errors.New("another version of the protocol")

// Where the version stands: in each message, and in the streams' metadata.
const (
	headerProtocol   = "Rangefleet-Protocol"
	metadataProtocol = "rangefleet.protocol"
)

// header returns the headers of every message that others must understand.
func (q *Queue) header() nats.Header {
	return nats.Header{headerProtocol: {strconv.Itoa(q.cfg.Protocol)}}
}

// readable returns ErrProtocol unless a message is of this process's version.
// One without a version is of before there were any.
func (q *Queue) readable(what string, header nats.Header) error {
	return q.speaks(what, header.Get(headerProtocol))
}

func (q *Queue) speaks(what, version string) error {
	theirs, err := strconv.Atoi(version)
	if err != nil && version != "" {
		return fmt.Errorf("%s: version %q: %w", what, version, ErrProtocol)
	}
	if theirs == q.cfg.Protocol {
		return nil
	}
	q.metrics.refused.Inc()
	advice := "this process is the older one: upgrade it"
	if theirs < q.cfg.Protocol {
		advice = "this process is the newer one: let what runs end, and stop what is older, before it starts"
	}
	return fmt.Errorf("%s: %w: it is of version %d and this process speaks %d; %s", what, ErrProtocol, theirs, q.cfg.Protocol, advice)
}

// agree returns ErrProtocol if the fleet speaks another version.
func (q *Queue) agree(info *jetstream.StreamInfo) error {
	return q.speaks("the fleet's queue", info.Config.Metadata[metadataProtocol])
}

// takeOver returns ErrProtocol if this process must not make the streams its
// own: they are of a newer version, or of an older one and in use. Else it returns how
// many copies of each there are to be: never fewer than there are.
func (q *Queue) takeOver(ctx context.Context) (copies int, err error) {
	copies = q.cfg.Replicas
	for _, name := range []string{workStream, coversStream} {
		var info *jetstream.StreamInfo
		err := q.retry(ctx, "ensure", func(ctx context.Context) error {
			stream, err := q.js.Stream(ctx, name)
			if errors.Is(err, jetstream.ErrStreamNotFound) {
				return nil
			}
			if err == nil {
				info = stream.CachedInfo()
			}
			return err
		})
		if err != nil {
			return 0, fmt.Errorf("look at stream %s: %w", name, err)
		}
		if info == nil {
			continue
		}
		copies = max(copies, info.Config.Replicas)
		theirs, _ := strconv.Atoi(info.Config.Metadata[metadataProtocol]) // what is no number is refused below
		if theirs < q.cfg.Protocol && info.State.Msgs == 0 {
			continue
		}
		if err := q.agree(info); err != nil {
			return 0, err
		}
	}
	if copies > q.cfg.Replicas {
		q.log.Warn("nats.replicas is less than the copies that the fleet has: they are kept", "copies", copies, "setting", q.cfg.Replicas)
	}
	return copies, nil
}

func (q *Queue) metadata() map[string]string {
	return map[string]string{metadataProtocol: strconv.Itoa(q.cfg.Protocol)}
}
