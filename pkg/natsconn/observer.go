package natsconn

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/nats-io/nats.go"
)

// logEvery is how often the log repeats, at most, that NATS is not reached.
const logEvery = 10 * time.Second

// observer handles the events that the client of NATS reports outside of calls.
type observer struct {
	log     *slog.Logger
	metrics *metrics
	link    *link
	ended   chan struct{} // closed once the connection is not restored any more
}

var notToken = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// options returns those of the client, whose events go to o.
func (c Config) options(o *observer) []nats.Option {
	opts := []nats.Option{
		nats.Name(c.Name),
		// An inbox of its own lets a server's permissions tell processes apart.
		nats.CustomInboxPrefix("_INBOX_" + notToken.ReplaceAllString(c.Name, "-")),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),      // the default gives up for good after two minutes
		nats.IgnoreAuthErrorAbort(), // the default gives up when it is refused twice, as while passwords are changed
		nats.ReconnectWait(250 * time.Millisecond),
		nats.PingInterval(5 * time.Second), // the default notices a dead server after four minutes
		// While disconnected the default buffers what is sent and reports success,
		// or a timeout for what it stores later all the same.
		nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(o.disconnected),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { o.unreached(err) }),
		nats.ClosedHandler(func(*nats.Conn) { close(o.ended) }),
		nats.ReconnectHandler(o.reconnected),
		nats.ErrorHandler(o.reported),
	}
	if c.InProcess != nil {
		opts = append(opts, nats.InProcessServer(c.InProcess))
	}
	return opts
}

// unreached records why NATS was not reached.
func (o *observer) unreached(err error) {
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
	if o.link.failed(err, time.Now()) {
		o.log.Warn("nats is not reached", "err", err)
	}
}

func (o *observer) disconnected(nc *nats.Conn, err error) {
	o.link.lost()
	if nc.IsClosed() {
		return // by Close
	}
	o.metrics.disconnects.Inc()
	o.log.Warn("nats connection lost", "err", err)
}

func (o *observer) reconnected(nc *nats.Conn) {
	o.link.restored()
	o.log.Info("nats connection restored", "url", nc.ConnectedUrlRedacted())
}

// reported handles an error that no call returns, such as a violated permission.
func (o *observer) reported(_ *nats.Conn, sub *nats.Subscription, err error) {
	o.metrics.asyncErrors.Inc()
	if errors.Is(err, nats.ErrAuthorization) {
		o.unreached(err) // four times a second
		return
	}
	subject := ""
	if sub != nil {
		subject = sub.Subject
	}
	o.log.Error("nats reported an error", "subject", subject, "err", err)
}
