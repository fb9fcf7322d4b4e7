package natsconn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Wanted is what a process needs of NATS.
type Wanted struct {
	Streams            []string
	Subscribe, Publish []string // subjects outside of JetStream; a message is sent to each of Publish
}

// Facts is what NATS tells of itself, for people who look for what is wrong.
type Facts struct {
	Server, Version string
	RoundTrip       time.Duration
	MaxPayload      int64 // bytes
	Servers         int   // of the cluster, that the server knows; 1 if it stands alone
	Worker          bool  // NATS lets this process do what a worker does, and no more
	Denied          []string
	JetStream       error // why it cannot be used; nil if it can
	Stored, Most    int64 // bytes on disk of the account; Most is -1 if there is no limit
	Streams         []StreamFacts
	// Ahead is how far the server's clock is before this machine's. It is known if any stream
	// is there.
	Ahead *time.Duration
}

// StreamFacts is what NATS tells of a stream.
type StreamFacts struct {
	Name     string
	Err      error  // why nothing is known; nil if something is
	Missing  bool   // there is no such stream
	Copies   int    // that are wanted
	Current  int    // of them that are up to date
	Leader   string // "" if there is none, so that the stream cannot be used
	Messages uint64
	Bytes    uint64
	Protocol error // ErrProtocol if it is of another version
}

// Inspect asks NATS for facts. It changes nothing.
func Inspect(ctx context.Context, c *Conn, w Wanted) (f Facts, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	nc := c.NATS
	f = Facts{
		Server: nc.ConnectedServerName(), Version: nc.ConnectedServerVersion(), MaxPayload: nc.MaxPayload(), Servers: len(nc.Servers()),
	}
	if f.RoundTrip, err = nc.RTT(); err != nil {
		return f, fmt.Errorf("ping NATS: %w", err)
	}
	const ofAll, ofCoordinators = jetstream.DefaultAPIPrefix + "STREAM.INFO.WORK", jetstream.DefaultAPIPrefix + "INFO"
	if f.Denied, err = denied(ctx, nc, Wanted{Publish: []string{ofAll, ofCoordinators}}); err != nil {
		return f, err
	}
	if f.Worker = slices.Equal(f.Denied, []string{"publish to " + ofCoordinators}); f.Worker {
		_, subscribe := WorkerPermissions()
		w.Subscribe, w.Publish, w.Streams = subscribe, nil, []string{"WORK", "COVERS", "KV_imports"}
	}
	if f.Denied, err = denied(ctx, nc, w); err != nil {
		return f, err
	}
	if f.Worker {
		f.streams(ctx, c, w.Streams)
		return f, nil
	}
	if f.JetStream = explained(nc, f.account(ctx, c)); f.JetStream != nil {
		return f, nil
	}
	f.streams(ctx, c, w.Streams)
	return f, nil
}

// Storage asks NATS for what is stored: the facts are Streams, and unless there is an error, Stored
// and Most. It takes a request for each, with a deadline of AttemptTimeout.
func Storage(ctx context.Context, c *Conn, streams []string) (f Facts, err error) {
	f.streams(ctx, c, streams)
	if err := f.account(ctx, c); err != nil {
		return f, fmt.Errorf("ask NATS for its account: %w", explained(c.NATS, err))
	}
	return f, nil
}

// account adds facts of the account.
func (f *Facts) account(ctx context.Context, c *Conn) error {
	ctx, cancel := context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	account, err := c.JetStream.AccountInfo(ctx)
	if err != nil {
		return err
	}
	f.Stored, f.Most = int64(account.Store), account.Limits.MaxStore
	return nil
}

// streams adds facts of streams.
func (f *Facts) streams(ctx context.Context, c *Conn, names []string) {
	for _, name := range names {
		s, ahead := streamFacts(ctx, c, name)
		f.Streams = append(f.Streams, s)
		if ahead != nil {
			f.Ahead = ahead
		}
	}
}

// explained adds to an error of a request that NATS denied the request. NATS reports that to the
// connection only, so that the request just times out.
func explained(nc *nats.Conn, err error) error {
	if last := nc.LastError(); err != nil && errors.Is(last, nats.ErrPermissionViolation) {
		return fmt.Errorf("%w: %w", err, last)
	}
	return err
}

// denied returns which subjects NATS denies. It says so before it answers a ping that follows.
func denied(ctx context.Context, nc *nats.Conn, w Wanted) (all []string, err error) {
	check := func(what, subject string, do func() error) error {
		if err := do(); err != nil {
			return fmt.Errorf("%s %s: %w", what, subject, err)
		}
		if err := nc.FlushWithContext(ctx); err != nil {
			return fmt.Errorf("%s %s: %w", what, subject, err)
		}
		if last := nc.LastError(); errors.Is(last, nats.ErrPermissionViolation) && names(last, subject) {
			all = append(all, what+" "+subject)
		}
		return nil
	}
	for _, subject := range w.Subscribe {
		sub, err := nc.SubscribeSync(subject)
		if err == nil {
			err = check("subscribe to", subject, func() error { return nil })
			_ = sub.Unsubscribe() // a subject that was denied has none
		}
		if err != nil {
			return nil, err
		}
	}
	for _, subject := range w.Publish {
		if err := check("publish to", subject, func() error { return nc.Publish(subject, nil) }); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// names reports whether an error names a subject, or what it is mapped to for workers.
func names(err error, subject string) bool {
	return strings.Contains(err.Error(), `"`+subject+`"`) || strings.Contains(err.Error(), `"`+Way{Subject: subject}.Imported()+`"`)
}

// streamFacts asks for a stream. ahead is nil if the server did not tell the time.
func streamFacts(ctx context.Context, c *Conn, name string) (f StreamFacts, ahead *time.Duration) {
	f.Name = name
	ctx, cancel := context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	begun := time.Now()
	stream, err := c.JetStream.Stream(ctx, name)
	took := time.Since(begun)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		f.Missing = true
		return f, nil
	}
	if err != nil {
		f.Err = explained(c.NATS, err)
		return f, nil
	}
	info := stream.CachedInfo()
	f.Copies, f.Current, f.Leader = info.Config.Replicas, 1, c.NATS.ConnectedServerName()
	f.Messages, f.Bytes = info.State.Msgs, info.State.Bytes
	if cluster := info.Cluster; cluster != nil && cluster.Name != "" {
		f.Leader = cluster.Leader
		for _, r := range cluster.Replicas {
			if r.Current && !r.Offline {
				f.Current++
			}
		}
	}
	if info.Config.Metadata[metadataProtocol] != "" {
		f.Protocol = c.CheckStream(info)
	}
	if !info.TimeStamp.IsZero() {
		d := info.TimeStamp.Sub(begun.Add(took / 2))
		ahead = &d
	}
	return f, ahead
}

// TryStream creates a stream of the connection's number of copies, stores a message, reads it,
// and deletes the stream. The name must be that of no other stream.
func TryStream(ctx context.Context, c *Conn, name string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	subject := name + ".probe"
	stream, err := c.JetStream.CreateStream(ctx, jetstream.StreamConfig{
		Name: name, Subjects: []string{subject}, Replicas: c.cfg.Replicas, Storage: jetstream.FileStorage, MaxAge: time.Hour,
	})
	if err != nil {
		return fmt.Errorf("create a stream with %d copies: %w", c.cfg.Replicas, explained(c.NATS, err))
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), AttemptTimeout)
		defer cancel()
		if failed := c.JetStream.DeleteStream(ctx, name); failed != nil {
			err = errors.Join(err, fmt.Errorf("delete the stream %s, which is left: %w", name, explained(c.NATS, failed)))
		}
	}()
	if _, err := c.JetStream.Publish(ctx, subject, nil); err != nil {
		return fmt.Errorf("store a message: %w", explained(c.NATS, err))
	}
	if _, err := stream.GetLastMsgForSubject(ctx, subject); err != nil {
		return fmt.Errorf("read the message: %w", explained(c.NATS, err))
	}
	return nil
}
