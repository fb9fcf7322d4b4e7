// Package queue is what the processes of a fleet share, on NATS JetStream: the
// work queue of partitions, the log of covers, buckets of state, and leases.
//
// What is promised, and what is not:
//
//   - A partition that was published is delivered until it is acknowledged, at
//     least once. It waits in a lane: see Lane. Publishing it again while it is queued or running changes
//     nothing. Neither its heartbeat nor its acknowledgement proves that nobody
//     else works on it.
//   - A cover that was published is stored, and delivered to each follower in
//     stream order, at least once. It may be stored twice.
//   - A bucket is decided by compare-and-swap alone. Watching it yields hints.
//   - A lease tells who should act. It excludes nobody by itself: what its
//     holder does must be guarded by a compare-and-swap, or be idempotent.
//
// Each call tries again, with jitter, what can safely be done twice, for a
// bounded time; after it the error says what was attempted. All methods may be
// called concurrently.
package queue

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
)

// Names of the buckets that Ensure makes.
const (
	BucketImports = "imports"
	BucketCatalog = "catalog"
	BucketAuth    = "auth"
)

// bucketLeases expires what is not renewed, which nothing else may do.
const bucketLeases = "leases"

// Streams, their subjects and the consumers.
const (
	workStream      = "WORK"
	workPrefix      = "w."
	bulkConsumer    = "workers"
	expressConsumer = "express"
	coversStream    = "COVERS"
	coversPrefix    = "c."
	triesPrefix     = "t."
	storedPrefix    = "stored." // leads the subject of a message that is now stored
	bucketStream    = "KV_"
	bucketSubject   = "$KV."
)

// Defaults of Config.
const (
	DefaultAckWait   = 15 * time.Second
	DefaultLeaseTTL  = 6 * time.Second
	DefaultTimeout   = 30 * time.Second
	DefaultMaxQueued = 1 << 20
)

// attemptTimeout bounds one try of a call. A cluster elects a new leader within
// 4 to 9 seconds, and answers nothing until then.
const attemptTimeout = 5 * time.Second

// Config says where NATS is and how the queue behaves. Every process of a fleet
// should have the same AckWait, LeaseTTL and Replicas; those of the process
// that called Ensure last are in force, but of Replicas the most ever.
type Config struct {
	URL        string // of the NATS servers, comma-separated; unused if InProcess is set
	Login      Login
	InProcess  nats.InProcessConnProvider // a server in this process, such as *natsd.Server
	Name       string                     // names the connection; default "rangefleet"
	Replicas   int                        // copies of each stream in a NATS cluster: 1, 3 or 5; default 1
	AckWait    time.Duration              // a partition without a heartbeat for so long is delivered again; default DefaultAckWait
	LeaseTTL   time.Duration              // a lease that is not renewed for so long is free; default DefaultLeaseTTL
	Timeout    time.Duration              // bounds a call with all its tries; default DefaultTimeout
	MaxQueued  int64                      // partitions that the queue takes, of all imports; default DefaultMaxQueued
	Protocol   int                        // default Protocol; any other is for tests of what happens then
	Log        *slog.Logger               // default slog.Default()
	Registerer prometheus.Registerer      // takes the metrics, of one Queue; nil keeps none
}

// Queue is a connection to NATS. See Connect.
type Queue struct {
	cfg     Config
	nc      *nats.Conn
	js      jetstream.JetStream
	log     *slog.Logger
	metrics *metrics
	link    *link
	ended   chan struct{} // closed once the connection is not restored any more
	begun   time.Time
	streams sync.Map  // stream name -> jetstream.Stream; see stream
	seen    sightings // of leases
	covers  atomic.Pointer[extent]
}

// Connect connects to NATS and waits until it is reached or ctx ends. From then
// on the connection is restored however long NATS is away; see Wait for what is not
// mended by that. The caller closes the queue.
func Connect(ctx context.Context, cfg Config) (*Queue, error) {
	cfg = cfg.withDefaults()
	q := &Queue{cfg: cfg, log: cfg.Log, metrics: newMetrics(cfg.Registerer), link: newLink(), ended: make(chan struct{}), begun: time.Now()}
	login, err := cfg.Login.options()
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	connected := make(chan struct{})
	nc, err := nats.Connect(cfg.URL, append(append(q.options(), login...), nats.ConnectHandler(func(*nats.Conn) { close(connected) }))...)
	var unreadable *url.Error
	if errors.As(err, &unreadable) { // its text is the URL, of which any part may be a password
		err = errors.New("the URL of a server cannot be read; it is not shown, as it may hold a password")
	}
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	q.nc = nc
	countMessages(cfg.Registerer, nc)
	if q.js, err = jetstream.New(nc); err != nil {
		nc.Close()
		return nil, fmt.Errorf("set up JetStream: %w", err)
	}
	remind := time.NewTicker(tellEvery)
	defer remind.Stop()
	for {
		select {
		case <-connected:
			return q, nil
		case <-remind.C: // the client reports only once that it was refused before it was ever connected
			q.unreached(q.link.why())
		case <-q.ended:
			return nil, fmt.Errorf("connect to NATS: %w", nc.LastError())
		case <-ctx.Done():
			nc.Close()
			return nil, fmt.Errorf("connect to NATS: %w", errors.Join(ctx.Err(), q.link.why()))
		}
	}
}

// tellEvery is how often it is told that NATS is not reached.
const tellEvery = 10 * time.Second

// unreached takes note of why NATS was not reached.
func (q *Queue) unreached(err error) {
	if err == nil || errors.Is(err, nats.ErrNoServers) { // which says that there were errors, but not which
		return
	}
	var authority x509.UnknownAuthorityError
	switch {
	case errors.Is(err, nats.ErrAuthorization):
		err = fmt.Errorf("%w: check nats.user and nats.password, or what is set in their place", err)
	case errors.As(err, &authority):
		err = fmt.Errorf("%w: set nats.ca_file to the CA that signed the server's certificate", err)
	}
	if q.link.failed(err, time.Now()) {
		q.log.Warn("nats is not reached", "err", err)
	}
}

// Close ends the connection. Calls that run end with an error.
func (q *Queue) Close() { q.nc.Close() }

// Wait waits until ctx ends, and returns nil; or until the connection has ended and is
// not restored any more, because a server refused it with words that the client does not
// know, or it was closed: then it returns why. Only a new connection helps.
func (q *Queue) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-q.ended:
		return fmt.Errorf("the connection to NATS has ended: %w", cmp.Or(q.nc.LastError(), nats.ErrConnectionClosed))
	}
}

// Connected reports whether NATS is reached right now.
func (q *Queue) Connected() bool { return q.nc.IsConnected() }

// Err returns why nothing can be had of NATS right now: it is not reached; or, as
// ErrSilent, what was tried for a while was in vain.
func (q *Queue) Err() error {
	switch {
	case !q.Connected():
		return errUnreached
	case q.link.silent(time.Now()):
		return ErrSilent
	}
	return nil
}

func (c Config) withDefaults() Config {
	c.Name = cmp.Or(c.Name, "rangefleet")
	c.Replicas = cmp.Or(c.Replicas, 1)
	c.AckWait = cmp.Or(c.AckWait, DefaultAckWait)
	c.LeaseTTL = cmp.Or(c.LeaseTTL, DefaultLeaseTTL)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.MaxQueued = cmp.Or(c.MaxQueued, DefaultMaxQueued)
	c.Protocol = cmp.Or(c.Protocol, Protocol)
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

var notToken = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

func (q *Queue) options() []nats.Option {
	opts := []nats.Option{
		nats.Name(q.cfg.Name),
		// An inbox of its own lets a server's permissions tell processes apart.
		nats.CustomInboxPrefix("_INBOX_" + notToken.ReplaceAllString(q.cfg.Name, "-")),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),      // the default gives up for good after two minutes
		nats.IgnoreAuthErrorAbort(), // the default when it is refused twice, as while passwords are changed
		nats.ReconnectWait(250 * time.Millisecond),
		nats.PingInterval(5 * time.Second), // the default notices a dead server after four minutes
		// While disconnected the default keeps what is sent and reports success,
		// or a timeout of what is stored later all the same.
		nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(q.disconnected),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { q.unreached(err) }),
		nats.ClosedHandler(func(*nats.Conn) { close(q.ended) }),
		nats.ReconnectHandler(q.reconnected),
		nats.ErrorHandler(q.reported),
	}
	if q.cfg.InProcess != nil {
		opts = append(opts, nats.InProcessServer(q.cfg.InProcess))
	}
	return opts
}

func (q *Queue) disconnected(nc *nats.Conn, err error) {
	q.link.lost()
	if nc.IsClosed() {
		return // by Close
	}
	q.metrics.disconnects.Inc()
	q.log.Warn("nats connection lost", "err", err)
}

func (q *Queue) reconnected(nc *nats.Conn) {
	q.link.restored()
	q.log.Info("nats connection restored", "url", nc.ConnectedUrlRedacted())
}

// reported takes note of an error that no call returns, such as the violation of a
// permission.
func (q *Queue) reported(_ *nats.Conn, sub *nats.Subscription, err error) {
	q.metrics.asyncErrors.Inc()
	if errors.Is(err, nats.ErrAuthorization) {
		q.unreached(err) // four times a second
		return
	}
	subject := ""
	if sub != nil {
		subject = sub.Subject
	}
	q.log.Error("nats reported an error", "subject", subject, "err", err)
}

// validToken is what import and partition IDs must match, being parts of
// subjects.
var validToken = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func checkTokens(tokens ...string) error {
	for _, t := range tokens {
		if !validToken.MatchString(t) {
			return fmt.Errorf("%q is no valid ID: want letters, digits, '-' and '_'", t)
		}
	}
	return nil
}
