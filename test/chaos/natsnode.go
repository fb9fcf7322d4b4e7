package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// nodeConfig is the configuration of a NATS server of the cluster. The harness runs its own
// program as the server, and passes the configuration as JSON in the environment variable
// nodeVariable.
type nodeConfig struct {
	Name   string   `json:"name"`
	Store  string   `json:"store"`
	Host   string   `json:"host"`   // address to listen on
	Port   int      `json:"port"`   // for clients
	Routes int      `json:"routes"` // port for the other servers
	Peers  []string `json:"peers"`  // addresses of links to them
	Other  bool     `json:"other"`  // use other settings than at the first start
}

const nodeVariable = "CHAOS_NATS"

// runNode runs a NATS server until SIGTERM. The server announces no addresses, so that clients
// and servers use only the links in their configurations.
func runNode(text string) error {
	var cfg nodeConfig
	if err := json.Unmarshal([]byte(text), &cfg); err != nil {
		return fmt.Errorf("decode %s: %w", nodeVariable, err)
	}
	opts := &server.Options{
		ServerName: cfg.Name, Host: cfg.Host, Port: cfg.Port,
		JetStream: true, StoreDir: cfg.Store, SyncAlways: true, JetStreamMaxStore: 1 << 40, JetStreamMaxMemory: 64 << 20,
		MaxPayload: 8 << 20, NoSigs: true, Logtime: true,
		Cluster: server.ClusterOpts{
			Name: "chaos", Host: cfg.Host, Port: cfg.Routes, NoAdvertise: true, Advertise: "127.0.0.1:1", // nothing listens there
		},
	}
	if cfg.Other {
		opts.MaxPayload, opts.PingInterval, opts.JetStreamMaxMemory, opts.WriteDeadline = 1<<20, 3*time.Second, 32<<20, 2*time.Second
	}
	for _, peer := range cfg.Peers {
		opts.Routes = append(opts.Routes, &url.URL{Scheme: "nats-route", Host: peer})
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("make the NATS server: %w", err)
	}
	srv.ConfigureLogger()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go srv.Start()
	<-ctx.Done()
	srv.Shutdown()
	srv.WaitForShutdown()
	if !errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return nil
}

// nodeMain runs a NATS server if the environment configures one.
func nodeMain() (ran bool) {
	text := os.Getenv(nodeVariable)
	if text == "" {
		return false
	}
	if err := runNode(text); err != nil {
		fmt.Fprintln(os.Stderr, "nats node:", err)
		os.Exit(1)
	}
	return true
}
