package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// stream returns a handle of a stream, to read messages from and to purge. It is
// looked up once. It is shared, so its Info, which writes to it, must not be
// called.
func (q *Queue) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	if s, ok := q.streams.Load(name); ok {
		return s.(jetstream.Stream), nil
	}
	s, err := q.js.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	q.streams.Store(name, s)
	return s, nil
}

// streamInfo is a part of what NATS tells of a stream.
type streamInfo struct {
	Error *jetstream.APIError `json:"error"`
	Total int                 `json:"total"` // subjects that match, of which an answer has some only
	State struct {
		Last     uint64            `json:"last_seq"` // revision of the stream's newest message
		Subjects map[string]uint64 `json:"subjects"`
	} `json:"state"`
}

// subjects returns how many messages each subject of a stream that matches the
// filter holds. The stream's leader answers, once for each 100,000 subjects: the
// client's own call would look the stream up before.
func (q *Queue) subjects(ctx context.Context, name, filter string) (map[string]uint64, error) {
	all, _, err := q.subjectsIn(ctx, name, filter, new(time.Duration))
	return all, err
}

// subjectsIn is subjects, adds to took how long the answers took, and returns the
// number of the stream's newest message, too.
func (q *Queue) subjectsIn(ctx context.Context, name, filter string, took *time.Duration) (all map[string]uint64, last uint64, err error) {
	all = make(map[string]uint64)
	err = q.retry(ctx, "read", timed(took, func(ctx context.Context) error {
		clear(all)
		for {
			info, err := q.streamInfo(ctx, name, filter, len(all))
			if err != nil {
				return err
			}
			last = info.State.Last
			maps.Copy(all, info.State.Subjects)
			if len(all) >= info.Total || len(info.State.Subjects) == 0 {
				return nil
			}
		}
	}))
	return all, last, err
}

func (q *Queue) streamInfo(ctx context.Context, name, filter string, offset int) (info streamInfo, err error) {
	request, err := json.Marshal(map[string]any{"subjects_filter": filter, "offset": offset})
	if err != nil {
		return info, err
	}
	msg, err := q.nc.RequestWithContext(ctx, jetstream.DefaultAPIPrefix+"STREAM.INFO."+name, request)
	if err != nil {
		return info, err
	}
	if err := json.Unmarshal(msg.Data, &info); err != nil {
		return info, fmt.Errorf("decode what NATS tells of stream %s: %w", name, err)
	}
	if info.Error != nil {
		return info, info.Error
	}
	return info, nil
}

// lastMessage returns the newest message of a subject, or ErrNotFound. The
// stream's leader answers, but of the covers' stream any replica, which may not
// have the newest yet.
func (q *Queue) lastMessage(ctx context.Context, name, subject string) (*jetstream.RawStreamMsg, error) {
	var msg *jetstream.RawStreamMsg
	err := q.retry(ctx, "read", func(ctx context.Context) error {
		stream, err := q.stream(ctx, name)
		if err != nil {
			return err
		}
		msg, err = stream.GetLastMsgForSubject(ctx, subject)
		return err
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, ErrNotFound
	}
	return msg, err
}

func readLast[T any](ctx context.Context, q *Queue, stream, subject string) (v T, err error) {
	msg, err := q.lastMessage(ctx, stream, subject)
	if err != nil {
		return v, err
	}
	if err := q.readable("message "+subject, msg.Header); err != nil {
		return v, err
	}
	if err := json.Unmarshal(msg.Data, &v); err != nil {
		return v, fmt.Errorf("decode message %s: %w", subject, err)
	}
	return v, nil
}

// hints returns a channel that gets a tick some time after a message of the
// stored subject was stored, until ctx ends. Ticks merge, and some may be
// missing: a subscription outside of JetStream survives restarts and costs the
// server nothing, but promises nothing.
func (q *Queue) hints(ctx context.Context, subject string) (<-chan struct{}, error) {
	ticks := make(chan struct{}, 1)
	sub, err := q.nc.Subscribe(storedPrefix+subject, func(*nats.Msg) {
		select {
		case ticks <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = sub.Unsubscribe() })
	return ticks, nil
}
