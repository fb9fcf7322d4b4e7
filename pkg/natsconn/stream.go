package natsconn

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Stream reads and purges one stream of JetStream. Its methods may be called
// concurrently.
type Stream struct {
	conn *Conn
	name string
}

// Stream returns the stream of the name, which need not exist yet.
func (c *Conn) Stream(name string) Stream { return Stream{c, name} }

// Message returns the newest message of a subject in one attempt, or
// jetstream.ErrMsgNotFound. The stream's leader answers; if the stream allows direct
// reads, any replica does, which may not have the newest message yet.
func (s Stream) Message(ctx context.Context, subject string) (*jetstream.RawStreamMsg, error) {
	stream, err := s.handle(ctx)
	if err != nil {
		return nil, err
	}
	return stream.GetLastMsgForSubject(ctx, subject)
}

// Last is Message with retries.
func (s Stream) Last(ctx context.Context, subject string) (msg *jetstream.RawStreamMsg, err error) {
	err = s.conn.Retry(ctx, "read", func(ctx context.Context) error {
		msg, err = s.Message(ctx, subject)
		return err
	})
	return msg, err
}

// After returns the first message that matches the filter from a sequence number on,
// in one attempt, or jetstream.ErrMsgNotFound.
func (s Stream) After(ctx context.Context, seq uint64, filter string) (*jetstream.RawStreamMsg, error) {
	stream, err := s.handle(ctx)
	if err != nil {
		return nil, err
	}
	return stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(filter))
}

// Purge removes messages. Retries are counted under op.
func (s Stream) Purge(ctx context.Context, op string, which ...jetstream.StreamPurgeOpt) error {
	return s.conn.Retry(ctx, op, func(ctx context.Context) error {
		stream, err := s.handle(ctx)
		if err != nil {
			return err
		}
		return stream.Purge(ctx, which...)
	})
}

// Subjects returns how many messages each subject that matches the filter holds. It
// adds to took how long the answers took. The stream's leader answers, once for each
// 100,000 subjects: the client's own call would look the stream up before.
func (s Stream) Subjects(ctx context.Context, filter string, took *time.Duration) (Contents, error) {
	all := Contents{Subjects: make(map[string]uint64)}
	err := s.conn.Retry(ctx, "read", Timed(took, func(ctx context.Context) error {
		clear(all.Subjects)
		for {
			part, total, err := s.Contents(ctx, filter, len(all.Subjects))
			if err != nil {
				return err
			}
			all.Last = part.Last
			maps.Copy(all.Subjects, part.Subjects)
			if len(all.Subjects) >= total || len(part.Subjects) == 0 {
				return nil
			}
		}
	}))
	return all, err
}

// Contents is what a stream holds of some subjects.
type Contents struct {
	Last     uint64            `json:"last_seq"` // sequence number of the stream's newest message
	Subjects map[string]uint64 `json:"subjects"` // how many messages each subject has
}

// Contents asks once for the subjects that match the filter, after the first offset ones;
// an answer has up to 100,000. It also returns how many match in total.
func (s Stream) Contents(ctx context.Context, filter string, offset int) (c Contents, total int, err error) {
	request, _ := json.Marshal(map[string]any{"subjects_filter": filter, "offset": offset}) // a string and a number always encode
	msg, err := s.conn.NATS.RequestWithContext(ctx, jetstream.DefaultAPIPrefix+"STREAM.INFO."+s.name, request)
	if err != nil {
		return c, 0, err
	}
	var answer struct {
		Error *jetstream.APIError `json:"error"`
		Total int                 `json:"total"`
		State Contents            `json:"state"`
	}
	if err := json.Unmarshal(msg.Data, &answer); err != nil {
		return c, 0, fmt.Errorf("decode the state of stream %s: %w", s.name, err)
	}
	if answer.Error != nil {
		return c, 0, answer.Error
	}
	return answer.State, answer.Total, nil
}

// handle returns the client's handle of the stream, which is looked up once. It is
// shared, so its Info, which writes to it, must not be called.
func (s Stream) handle(ctx context.Context) (jetstream.Stream, error) {
	if h, ok := s.conn.streams.Load(s.name); ok {
		return h.(jetstream.Stream), nil
	}
	h, err := s.conn.JetStream.Stream(ctx, s.name)
	if err != nil {
		return nil, err
	}
	s.conn.streams.Store(s.name, h)
	return h, nil
}

// ReadLast decodes the newest message of a subject; see Stream.Last. It is ErrProtocol
// for a message of another version.
func ReadLast[T any](ctx context.Context, s Stream, subject string) (v T, err error) {
	msg, err := s.Last(ctx, subject)
	if err != nil {
		return v, err
	}
	if err := s.conn.CheckMessage("message "+subject, msg.Header); err != nil {
		return v, err
	}
	if err := json.Unmarshal(msg.Data, &v); err != nil {
		return v, fmt.Errorf("decode message %s: %w", subject, err)
	}
	return v, nil
}
