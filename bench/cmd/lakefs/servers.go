package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/rangefleet/rangefleet/bench/fleet"
	"github.com/rangefleet/rangefleet/bench/synths3"
	"github.com/rangefleet/rangefleet/internal/process"
	"github.com/rangefleet/rangefleet/pkg/client"
)

// keep is how many bytes of range files the synthetic S3 keeps.
const keep = 4 << 30

// lakeServer is a lakeFS server with its own files.
type lakeServer struct {
	*fleet.Process
	client *client.Client
}

// install builds all programs, and lakeFS if it is missing.
func install(ctx context.Context, dir string) error {
	if err := fleet.Build(ctx, dir); err != nil {
		return err
	}
	if err := fleet.Compile(ctx, dir, "../test/lakefsserver", "./lakefsd", "lakefsd"); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, filepath.Join(dir, "lakefsd")).CombinedOutput(); err != nil {
		return fmt.Errorf("install lakeFS: %w: %s", err, out)
	}
	return nil
}

// startLakeFS starts a lakeFS server whose objects lie in a store. Its administrator has the
// credentials that clients of a fleet use.
func startLakeFS(ctx context.Context, dir string, store *fleet.Process) (s lakeServer, err error) {
	home, err := os.MkdirTemp(dir, "lakefs-")
	if err != nil {
		return s, err
	}
	address, err := process.FreeAddress()
	if err != nil {
		return s, err
	}
	s.Process, err = fleet.Launch(ctx, dir, "lakefsd", os.Environ(), []string{
		home, address, store.URL,
		"LAKEFS_AUTH_CACHE_ENABLED=true",
		"LAKEFS_INSTALLATION_ACCESS_KEY_ID=" + fleet.AccessKey, "LAKEFS_INSTALLATION_SECRET_ACCESS_KEY=" + fleet.SecretKey,
	})
	if err != nil {
		return s, err
	}
	s.URL = "http://" + address
	if s.client, err = client.New(client.Config{Endpoint: s.URL, AccessKeyID: fleet.AccessKey, SecretAccessKey: fleet.SecretKey}); err != nil {
		return s, err
	}
	return s, s.Ready(ctx, "/_health")
}

// startFleet starts a fleet that lands its imports of some sources on a lakeFS server.
func (b *bench) startFleet(ctx context.Context, store *fleet.Process, server lakeServer, sources string) (*fleet.Fleet, error) {
	c := fleet.Config{
		Dir: b.dir, S3: store, Coordinators: 1, Workers: b.workers, Slots: 4,
		Env: []string{
			"RANGEFLEET_CATALOG_KIND=lakefs", "RANGEFLEET_LAKEFS_URL=" + server.URL, "RANGEFLEET_SOURCES_ALLOW=" + sources,
			"RANGEFLEET_LAKEFS_ACCESS_KEY_ID=" + fleet.AccessKey, "RANGEFLEET_LAKEFS_SECRET_ACCESS_KEY=" + fleet.SecretKey,
		},
	}
	c.Faults.List.Latency.Base = synths3.Duration{Duration: b.latency}
	return fleet.Start(ctx, c)
}
