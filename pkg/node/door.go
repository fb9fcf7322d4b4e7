package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rangefleet/rangefleet/pkg/certfile"
	"github.com/rangefleet/rangefleet/pkg/server"
)

// door is where a process serves HTTP.
type door struct {
	net.Listener
	cert *certfile.Pair // nil: without TLS
}

// openDoor listens at the address of the API, and keeps its certificate, if it has one, in step with
// the files until ctx ends.
func (b *base) openDoor(ctx context.Context) (d door, err error) {
	if s := b.Settings.HTTP; s.CertFile != "" {
		if d.cert, err = watched(ctx, certfile.Config{
			CertFile: s.CertFile, KeyFile: s.KeyFile, Now: time.Now, Log: b.Log, Registerer: b.metrics, Use: "api",
		}); err != nil {
			return d, fmt.Errorf("http.cert_file: %w", err)
		}
	}
	if d.Listener, err = net.Listen("tcp", b.Settings.Listen); err != nil {
		return d, fmt.Errorf("listen: %w", err)
	}
	return d, nil
}

// watched opens the certificate of a server, and has its files read again, from time to time and at
// SIGHUP, until ctx ends.
func watched(ctx context.Context, c certfile.Config) (*certfile.Pair, error) {
	pair, err := certfile.Open(c)
	if err != nil {
		return nil, err
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	context.AfterFunc(ctx, func() { signal.Stop(hangups) })
	go pair.Watch(ctx, hangups)
	return pair, nil
}

// url returns where clients of this machine find it.
func (d door) url() string {
	if d.cert != nil {
		return "https://" + d.Addr().String()
	}
	return "http://" + d.Addr().String()
}

// serve serves HTTP until the server is told to stop, or cannot.
func (d door) serve(api *server.HTTPServer) error {
	if d.cert != nil {
		return api.ServeTLS(d, d.cert.TLS("h2", "http/1.1"))
	}
	return api.Serve(d)
}

// serveHTTP serves until ctx ends, and then gives running requests drainLimit to finish. It
// returns nil after that, or the error that kept it from serving.
func serveHTTP(ctx context.Context, api *server.HTTPServer, d door, started func()) error {
	failed := make(chan error, 1)
	go func() { failed <- d.serve(api) }()
	started()
	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", d.Addr(), err)
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainLimit)
	defer cancel()
	if err := api.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("stop serving on %s: %w", d.Addr(), err), api.Close())
	}
	return nil
}
