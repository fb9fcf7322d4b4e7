package natsconn

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/rangefleet/rangefleet/internal/metric"
)

// logEvery is how often the log repeats, at most, that NATS is not reached or does not
// respond.
const logEvery = 10 * time.Second

// link watches whether NATS is reached and responds, by the events that the client
// reports outside of calls and by how calls end. Its methods may be called concurrently.
type link struct {
	log      *slog.Logger
	metrics  *metrics
	warnings rate.Sometimes // that NATS cannot be used
	denials  rate.Sometimes
	ended    chan struct{} // closed once the connection is not restored any more

	mu     sync.Mutex
	ctx    context.Context // ends when the connection is lost
	cancel context.CancelFunc
	err    error          // why NATS was not reached, the last time
	denied denial         // the last one
	outage outageDetector // of the connection that there is
}

// deniedFor is for how long a denial counts as a reason why NATS cannot be used.
const deniedFor = time.Minute

// denial is a permission that this process does not have. NATS reports it outside of the call, which
// then just gets no answer.
type denial struct {
	err error // names the subject
	at  time.Time
}

func newLink(log *slog.Logger, m *metrics) *link {
	l := &link{log: log, metrics: m, warnings: rate.Sometimes{Interval: logEvery}, denials: rate.Sometimes{First: 10, Interval: logEvery}, ended: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

var notToken = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// options returns those of the client, whose events go to l.
func (c Config) options(l *link) []nats.Option {
	opts := []nats.Option{
		nats.Name(c.Name),
		nats.CustomInboxPrefix(c.Role.inboxPrefix(c.Name)), // so that workers cannot listen to answers to coordinators
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),      // the default gives up for good after two minutes
		nats.IgnoreAuthErrorAbort(), // the default gives up when it is refused twice, as while passwords are changed
		nats.ReconnectWait(250 * time.Millisecond),
		nats.PingInterval(5 * time.Second), // the default notices a dead server after four minutes
		// While disconnected the default buffers what is sent and reports success,
		// or a timeout for what it stores later all the same.
		nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(l.disconnected),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { l.unreached(err) }),
		nats.ClosedHandler(func(*nats.Conn) { close(l.ended) }),
		nats.ReconnectHandler(l.reconnected),
		nats.ErrorHandler(l.reported),
	}
	if c.InProcess != nil {
		opts = append(opts, nats.InProcessServer(c.InProcess))
	}
	return opts
}

// unreached records and logs why NATS was not reached.
func (l *link) unreached(err error) {
	if err == nil || errors.Is(err, nats.ErrNoServers) { // ErrNoServers does not say which errors occurred
		return
	}
	var authority x509.UnknownAuthorityError
	switch {
	case errors.Is(err, nats.ErrAuthorization):
		err = fmt.Errorf("%w: check nats.user and nats.password, or what is set in their place", err)
	case errors.As(err, &authority):
		err = fmt.Errorf("%w: set nats.ca_file to the CA that signed the server's certificate", err)
	}
	l.mu.Lock()
	l.err = err
	l.mu.Unlock()
	l.remind()
}

// remind logs why NATS was not reached, if that is known.
func (l *link) remind() {
	if err := l.why(); err != nil {
		l.warnings.Do(func() { l.log.Warn("nats is not reached", "err", err) })
	}
}

// why returns why NATS was not reached, the last time.
func (l *link) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *link) disconnected(nc *nats.Conn, err error) {
	l.mu.Lock()
	l.cancel()
	l.mu.Unlock()
	if nc.IsClosed() {
		return // by Close
	}
	l.metrics.disconnects.Inc()
	l.log.Warn("nats connection lost", "err", err)
}

func (l *link) reconnected(nc *nats.Conn) {
	l.mu.Lock()
	l.cancel()
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.outage = outageDetector{}
	l.mu.Unlock()
	l.log.Info("nats connection restored", "url", nc.ConnectedUrlRedacted())
}

// reported handles an error that no call returns, such as a violated permission.
func (l *link) reported(_ *nats.Conn, sub *nats.Subscription, err error) {
	l.metrics.asyncErrors.Inc()
	if errors.Is(err, nats.ErrAuthorization) {
		l.unreached(err) // four times a second
		return
	}
	if errors.Is(err, nats.ErrPermissionViolation) {
		l.mu.Lock()
		l.denied = denial{err, time.Now()}
		l.mu.Unlock()
		l.denials.Do(func() { l.log.Error("nats denies what this process needs", "err", err) })
		return
	}
	subject := ""
	if sub != nil {
		subject = sub.Subject
	}
	l.log.Error("nats reported an error", "subject", subject, "err", err)
}

// deniedSince returns what NATS denied last, nil if that was before a time.
func (l *link) deniedSince(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.denied.at.Before(t) {
		return nil
	}
	return l.denied.err
}

// up returns a context that ends when the present connection is lost.
func (l *link) up() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ctx
}

// attempted records how an attempt of a call ended, and logs that NATS does not respond.
func (l *link) attempted(op string, begun, now time.Time, err error) {
	l.mu.Lock()
	reached := l.ctx.Err() == nil && (l.denied.err == nil || l.denied.at.Before(begun))
	if reached {
		l.outage.attempted(begun, now, err, slices.Contains(proofs, op))
	}
	l.mu.Unlock()
	if err != nil && reached && l.unresponsive(now) {
		l.warnings.Do(func() { l.log.Warn("nats does not answer", "op", op, "err", err) })
	}
}

// unresponsive reports whether NATS is reached and does not respond.
func (l *link) unresponsive(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.outage.detected(now)
}

// metrics are those of one connection.
type metrics struct {
	published   *prometheus.CounterVec
	calls       prometheus.Histogram
	retries     *prometheus.CounterVec
	refused     prometheus.Counter
	disconnects prometheus.Counter
	asyncErrors prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	all := metric.With(reg)
	f := all.In("nats")
	return &metrics{
		published: all.CounterVec("queue_published_total", "Messages stored, by kind.", metric.By("kind", "partition", "cover", "note")),
		calls: f.Histogram("request_duration_seconds", "Time of one attempt of a call to NATS, with those that got no answer. Calls that wait for partitions do not count.",
			metric.Buckets(0.0012, 6)),
		retries: f.CounterVec("retries_total", "Calls to NATS tried again, by operation.",
			metric.By("operation", "ensure", "publish", "cover", "pull", "ack", "read", "write", "discard", "follow")),
		refused:     all.Counter("protocol_refused_total", "Messages and streams refused because they are of another version of the protocol."),
		disconnects: f.Counter("disconnects_total", "Connections to NATS lost."),
		asyncErrors: f.Counter("errors_total", "Errors that NATS reported outside of any call, such as denied permissions."),
	}
}

// show shows whether a connection can be used, and counts what it sends and receives: what the
// process costs NATS.
func show(c *Conn) {
	f := metric.With(c.cfg.Registerer).In("nats")
	f.GaugeFunc("connected", "1 while there is a connection to NATS, else 0.", func() float64 { return flag(c.NATS.IsConnected()) })
	f.GaugeFunc("responding", "0 while there is a connection to NATS and calls have failed for five seconds, as without a quorum; else 1.",
		func() float64 { return flag(!c.link.unresponsive(time.Now())) })
	f.CounterFunc("messages_sent_total", "Messages sent to NATS.", func() float64 { return float64(c.NATS.Stats().OutMsgs) })
	f.CounterFunc("messages_received_total", "Messages received from NATS.", func() float64 { return float64(c.NATS.Stats().InMsgs) })
}

func flag(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
