// Package natsd embeds a NATS server with JetStream in the process.
//
// What it acknowledges is on disk: it syncs every write before it answers. NATS does not
// notice two servers on one store directory, by which an acknowledged message can vanish,
// so a lock file keeps a second one out.
package natsd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/time/rate"
)

const (
	maxStore     = 1 << 40          // bytes that JetStream may take on disk
	maxMemory    = 64 << 20         // bytes that memory streams may take; there are none
	readyTimeout = 30 * time.Second // for the server to accept connections
	logEvery     = 10 * time.Second // logs at most so often that a client was refused

	// maxPayload is the most bytes of a message. The largest is the record of an import:
	// it holds most of the request, of up to 1 MiB, some bytes of which JSON writes as six.
	maxPayload = 8 << 20

	// clientMark is part of every error that the server reports for a client's connection,
	// such as a wrong password or a failed TLS handshake.
	clientMark = " - cid:"
)

// Config says how to run a server.
type Config struct {
	StoreDir string       // where JetStream keeps its files; created if absent
	Listen   string       // host:port, port 0 picks a free one; "" accepts connections of this process only
	Access   Access       // who may connect to Listen
	Log      *slog.Logger // default slog.Default()
}

// Server is a running server. Its methods may be called concurrently.
type Server struct {
	srv      *server.Server
	lock     *flock.Flock
	password string // of the user inside; "" if none is needed
}

// Start runs a server and returns once it accepts connections. It is an error if another
// process runs a server on the store directory. After an error nothing is left running.
func Start(cfg Config) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	opts, password, err := cfg.options()
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(cfg.StoreDir)
	if err != nil {
		return nil, err
	}
	srv, err := run(opts, cfg)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the NATS server on %s: %w", cfg.StoreDir, err), lock.Unlock())
	}
	return &Server{srv: srv, lock: lock, password: password}, nil
}

// InProcessConn returns a connection to the server that needs no port. It makes a Server a
// nats.InProcessConnProvider.
func (s *Server) InProcessConn() (net.Conn, error) { return s.srv.InProcessConn() }

// ClientURL returns where the server listens, or "" if it does not.
func (s *Server) ClientURL() string {
	if s.srv.Addr() == nil {
		return ""
	}
	return s.srv.ClientURL()
}

// Err returns why the server no longer stores anything, or nil if it does. A failed write,
// as to a full disk, stops its stream until the server is started again. It is for a
// server that has not been shut down.
func (s *Server) Err() error {
	if h := s.srv.Healthz(nil); h.Error != "" {
		return fmt.Errorf("the NATS server in %s: %s", filepath.Dir(s.lock.Path()), h.Error)
	}
	return nil
}

// DiskLimit returns how many bytes JetStream can store at most, with what it stores now: until the
// disk is full, or its own limit is reached.
func (s *Server) DiskLimit() int64 {
	room, ok := roomOnDisk(filepath.Dir(s.lock.Path()))
	if !ok {
		return maxStore
	}
	var stored int64
	if js, err := s.srv.Jsz(nil); err == nil {
		stored = int64(js.Store) // at most maxStore
	}
	return min(maxStore, stored+room)
}

// Shutdown stops the server, waits until it has stopped, and unlocks the directory. It
// may be called more than once.
func (s *Server) Shutdown() error {
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
	if err := s.lock.Unlock(); err != nil {
		return fmt.Errorf("unlock the NATS store directory: %w", err)
	}
	return nil
}

// options returns those of the server, and the password of the user inside, "" if none is
// needed.
func (c Config) options() (opts *server.Options, password string, err error) {
	if c.StoreDir == "" {
		return nil, "", errors.New("the NATS server needs a store directory")
	}
	opts = &server.Options{
		ServerName:         "rangefleet",
		DontListen:         c.Listen == "",
		JetStream:          true,
		StoreDir:           c.StoreDir,
		JetStreamMaxStore:  maxStore,
		JetStreamMaxMemory: maxMemory,
		SyncAlways:         true, // the default syncs every two minutes
		MaxPayload:         maxPayload,
		NoSigs:             true, // signals are the process's own to handle
	}
	if c.Listen == "" {
		return opts, "", nil
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return nil, "", fmt.Errorf("NATS listen address %q: %w", c.Listen, err)
	}
	if opts.Port, err = strconv.Atoi(port); err != nil || opts.Port < 0 || opts.Port > 65535 {
		return nil, "", fmt.Errorf("NATS listen address %q: %q is no port", c.Listen, port)
	}
	if opts.Port == 0 {
		opts.Port = server.RANDOM_PORT
	}
	if opts.Host = host; host == "" {
		opts.Host = "0.0.0.0"
	}
	c.warn(opts.Host)
	password, err = c.Access.apply(opts)
	return opts, password, err
}

// lockDir creates the directory and takes the lock that one process can hold. The system
// releases it when the process ends, in whatever way.
func lockDir(dir string) (*flock.Flock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the NATS store directory: %w", err)
	}
	lock := flock.New(filepath.Join(dir, "LOCK"))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the NATS store directory %s: %w", dir, err)
	}
	if !ok {
		return nil, fmt.Errorf("NATS store directory %s: the directory is in use by another process", dir)
	}
	return lock, nil
}

// run starts the server and returns once it accepts connections.
func run(opts *server.Options, cfg Config) (*server.Server, error) {
	srv, err := server.NewServer(opts)
	if err != nil {
		return nil, err
	}
	log := newLogger(cfg.Log.With("component", "nats"))
	srv.SetLoggerV2(log, false, false, false)
	srv.Start()
	if opts.Accounts != nil {
		// With accounts, JetStream is switched on in each that has it.
		if err := errors.Join(srv.GlobalAccount().EnableJetStream(nil, nil), open(srv)); err != nil {
			return nil, ended(srv, err)
		}
	}
	select {
	case text := <-log.fatal:
		err = errors.New(text)
	default:
		if srv.ReadyForConnections(readyTimeout) {
			return srv, nil
		}
		err = fmt.Errorf("not ready after %s", readyTimeout)
	}
	return nil, ended(srv, err)
}

// ended shuts a server down, and returns err.
func ended(srv *server.Server, err error) error {
	srv.Shutdown()
	srv.WaitForShutdown()
	return err
}

// logger forwards the server's log. Its notices are about each step of a start, and are
// logged at the level of debugging.
type logger struct {
	log      *slog.Logger
	fatal    chan string     // takes the first fatal error, which the server does not return
	refusals *rate.Sometimes // of clients, each of which tries again four times a second
}

func newLogger(log *slog.Logger) logger {
	return logger{log: log, fatal: make(chan string, 1), refusals: &rate.Sometimes{Interval: logEvery}}
}

func (l logger) Noticef(format string, v ...any) { l.print(slog.LevelDebug, format, v) }
func (l logger) Warnf(format string, v ...any)   { l.print(slog.LevelWarn, format, v) }
func (l logger) Debugf(format string, v ...any)  { l.print(slog.LevelDebug, format, v) }
func (l logger) Tracef(format string, v ...any)  { l.print(slog.LevelDebug, format, v) }

func (l logger) Errorf(format string, v ...any) {
	level := slog.LevelError
	if strings.Contains(fmt.Sprintf(format, v...), clientMark) {
		level = slog.LevelDebug
		l.refusals.Do(func() { level = slog.LevelError })
	}
	l.print(level, format, v)
}

func (l logger) Fatalf(format string, v ...any) {
	l.print(slog.LevelError, format, v)
	select {
	case l.fatal <- fmt.Sprintf(format, v...):
	default:
	}
}

func (l logger) print(level slog.Level, format string, v []any) {
	l.log.Log(context.Background(), level, "nats server", "notice", fmt.Sprintf(format, v...))
}
