// Package natsconn is a connection to NATS JetStream that outlives outages: it logs in,
// reconnects, retries calls within a bounded time, detects that NATS does not respond,
// keeps processes of different protocol versions apart, and creates streams.
package natsconn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
)

// AttemptTimeout bounds one attempt of a call. A cluster elects a new leader within
// 4 to 9 seconds, and answers nothing until then.
const AttemptTimeout = 5 * time.Second

// Config says where NATS is and how calls to it behave.
type Config struct {
	URL        string // of the NATS servers, comma-separated; unused if InProcess is set
	Login      Login
	InProcess  nats.InProcessConnProvider // a server in this process, such as *natsd.Server
	Name       string                     // names the connection; default "rangefleet"
	Role       Role                       // of the process; default Coordinator
	Replicas   int                        // copies of each stream in a NATS cluster: 1, 3 or 5; default 1. Ensure never lowers it
	Timeout    time.Duration              // bounds a call with all its attempts; default 30 s
	Protocol   int                        // default Protocol; any other is for tests of version mismatches
	Log        *slog.Logger               // default slog.Default()
	Registerer prometheus.Registerer      // takes the metrics of one Conn; nil keeps none
}

// Conn is a connection to NATS; see Connect. Its methods may be called concurrently.
type Conn struct {
	NATS      *nats.Conn          // the client's connection
	JetStream jetstream.JetStream // its client of JetStream

	cfg     Config
	metrics *metrics
	link    *link
	streams *sync.Map // stream name -> jetstream.Stream; see Stream.handle
}

// Connect connects to NATS and waits until it is reached or ctx ends. From then on
// the connection is restored however long NATS is away, except in the cases that
// Wait reports. The caller closes the connection.
func Connect(ctx context.Context, cfg Config) (*Conn, error) {
	c := newConn(cfg)
	login, err := c.cfg.Login.options()
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	connected := make(chan struct{})
	options := append(append(c.cfg.options(c.link), login...), nats.ConnectHandler(func(*nats.Conn) { close(connected) }))
	c.NATS, err = nats.Connect(cfg.URL, options...)
	var unreadable *url.Error
	if errors.As(err, &unreadable) { // its text is the URL, any part of which may be a password
		err = errors.New("the URL of a server cannot be parsed; it is not shown, as it may hold a password")
	}
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	show(c)
	if c.JetStream, err = jetstream.New(c.NATS); err != nil {
		c.NATS.Close()
		return nil, fmt.Errorf("set up JetStream: %w", err)
	}
	remind := time.NewTicker(logEvery)
	defer remind.Stop()
	for {
		select {
		case <-connected:
			return c, nil
		case <-remind.C: // before the first connection the client reports only that it was refused
			c.link.remind()
		case <-c.link.ended:
			return nil, fmt.Errorf("connect to NATS: %w", c.NATS.LastError())
		case <-ctx.Done():
			c.NATS.Close()
			return nil, fmt.Errorf("connect to NATS: %w", errors.Join(ctx.Err(), c.link.why()))
		}
	}
}

func newConn(cfg Config) *Conn {
	cfg.Name = cmp.Or(cfg.Name, "rangefleet")
	cfg.Role = cmp.Or(cfg.Role, Coordinator)
	cfg.Replicas = cmp.Or(cfg.Replicas, 1)
	cfg.Timeout = cmp.Or(cfg.Timeout, 30*time.Second)
	cfg.Protocol = cmp.Or(cfg.Protocol, Protocol)
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	m := newMetrics(cfg.Registerer)
	return &Conn{cfg: cfg, metrics: m, link: newLink(cfg.Log, m), streams: new(sync.Map)}
}

// Within returns the same connection with a shorter patience: a call takes at most d
// with all its attempts, or Config.Timeout if that is less.
func (c *Conn) Within(d time.Duration) *Conn {
	impatient := *c
	impatient.cfg.Timeout = min(d, c.cfg.Timeout)
	return &impatient
}

// Close ends the connection. Calls in progress end with an error.
func (c *Conn) Close() { c.NATS.Close() }

// Wait waits until ctx ends, and returns nil; or until the connection has ended for
// good, because it was closed or a server refused it with an error that the client
// does not know. Then it returns the reason, and only a new connection helps.
func (c *Conn) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-c.link.ended:
		return fmt.Errorf("the connection to NATS has ended: %w", cmp.Or(c.NATS.LastError(), nats.ErrConnectionClosed))
	}
}

// Err returns why NATS cannot be used right now: it is not reached, or, as
// ErrUnresponsive, calls have failed for a while, or it denied a permission within the last
// minute. It is nil otherwise.
func (c *Conn) Err() error {
	switch {
	case !c.NATS.IsConnected():
		return errors.New("NATS is out of reach")
	case c.link.unresponsive(time.Now()):
		return ErrUnresponsive
	}
	if err := c.link.deniedSince(time.Now().Add(-deniedFor)); err != nil {
		return fmt.Errorf("NATS denies what this process needs: %w", err)
	}
	return nil
}

// Role returns Config.Role.
func (c *Conn) Role() Role { return c.cfg.Role }

// Log returns Config.Log.
func (c *Conn) Log() *slog.Logger { return c.cfg.Log }

// Registerer returns Config.Registerer.
func (c *Conn) Registerer() prometheus.Registerer { return c.cfg.Registerer }

// Hints returns a channel that gets a tick some time after JetStream has stored a
// message of the subject, until ctx ends. Ticks merge, and some may be missing: the
// subscription is outside of JetStream, so it survives restarts and costs the server
// nothing, but guarantees nothing either. The stream republishes to StoredPrefix.
func (c *Conn) Hints(ctx context.Context, subject string) (<-chan struct{}, error) {
	ticks := make(chan struct{}, 1)
	sub, err := c.NATS.Subscribe(StoredPrefix+subject, func(*nats.Msg) {
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

// StoredPrefix leads the subjects to which streams republish what they have stored.
const StoredPrefix = "stored."
