// Package stores_test runs imports from stores that deviate from S3.
package stores_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/rangefleet/rangefleet/internal/canary"
	"github.com/rangefleet/rangefleet/pkg/ctl"
	"github.com/rangefleet/rangefleet/pkg/node"
	"github.com/rangefleet/rangefleet/pkg/settings"
	"github.com/rangefleet/rangefleet/test/stores/oddstore"
)

// product is a coordinator in this process, with embedded NATS and workers, and rangectl.
type product struct {
	t         *testing.T
	info      node.Info
	namespace string // storage namespace of the repository
}

// run starts a product for the store at an endpoint, with further settings. It ends at the end of
// the test.
func run(t *testing.T, endpoint string, more map[string]string) *product {
	t.Helper()
	set := storeSettings(endpoint)
	maps.Copy(set, map[string]string{
		"listen": "127.0.0.1:0", "nats.store_dir": filepath.Join(t.TempDir(), "nats"),
		"auth.access_key_id": "key", "auth.secret_access_key": "secret",
	})
	maps.Copy(set, more)
	return &product{t: t, namespace: "s3://meta/case", info: launch(t, node.Coordinator, settings.Coordinator, set)}
}

// work starts a worker of the product with further settings. It ends at the end of the test.
func (p *product) work(endpoint string, more map[string]string) {
	p.t.Helper()
	set := storeSettings(endpoint)
	set["nats.url"] = p.info.NATS
	maps.Copy(set, more)
	launch(p.t, node.Worker, settings.Worker, set)
}

func storeSettings(endpoint string) map[string]string {
	return map[string]string{
		"s3.endpoint": endpoint, "s3.region": oddstore.Region, "s3.force_path_style": "true",
		"s3.access_key_id": oddstore.AccessKeyID, "s3.secret_access_key": oddstore.SecretAccessKey,
	}
}

// launch starts a coordinator or a worker in this process. It ends at the end of the test.
func launch(t *testing.T, start func(context.Context, node.Env) error, kind settings.Process, set map[string]string) node.Info {
	t.Helper()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	settings.AddFlags(flags, kind)
	for name, value := range set {
		if err := flags.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	config, err := settings.Load(kind, flags, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	started, ended := make(chan node.Info, 1), make(chan error, 1)
	go func() {
		ended <- start(ctx, node.Env{
			Settings: config, Log: slog.New(slog.NewTextHandler(canary.Tee(t.Output()), nil)), Notices: io.Discard, Started: func(info node.Info) { started <- info },
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("a process ended: %v", err)
		}
	})
	select {
	case info := <-started:
		return info
	case err := <-ended:
		ended <- nil
		t.Fatalf("a process did not start: %v", err)
		return node.Info{}
	}
}

// serve starts a store.
func serve(t *testing.T, h http.Handler) (endpoint string) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// ctl runs a command of rangectl.
func (p *product) ctl(args ...string) (code ctl.ExitCode, out, errs string) {
	p.t.Helper()
	var stdout, stderr bytes.Buffer
	env := map[string]string{
		"RANGECTL_ENDPOINT": p.info.API, "RANGECTL_ACCESS_KEY_ID": "key", "RANGECTL_SECRET_ACCESS_KEY": "secret",
		"RANGECTL_CONFIG": filepath.Join(p.t.TempDir(), "none.yaml"),
	}
	sys := ctl.OS()
	sys.In, sys.Out, sys.Err, sys.Getenv = strings.NewReader(""), &stdout, &stderr, func(name string) string { return env[name] }
	code = ctl.Run(p.t.Context(), sys, args)
	return code, stdout.String(), stderr.String()
}

// imported imports prefixes to the root of a branch. It returns the objects there, each as
// "path address", or the error of the import.
func (p *product) imported(prefixes ...string) (objects []string, failure string) {
	p.t.Helper()
	if code, out, errs := p.ctl("repo", "create", "lakefs://case", p.namespace); code != ctl.OK {
		return nil, out + errs
	}
	args := []string{"import", "--to", "lakefs://case/main/", "--progress", "none"}
	for _, prefix := range prefixes {
		args = append(args, "--from", "s3://"+prefix)
	}
	if code, out, errs := p.ctl(args...); code != ctl.OK {
		return nil, out + errs
	}
	code, out, errs := p.ctl("ls", "-r", "-o", "json", "--amount", "0", "lakefs://case/main/")
	if code != ctl.OK {
		return nil, out + errs
	}
	for line := range strings.Lines(out) {
		var o struct {
			Path    string `json:"path"`
			Address string `json:"physical_address"`
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			return nil, err.Error()
		}
		objects = append(objects, o.Path+" "+o.Address)
	}
	return objects, ""
}

// want returns the result of imported for keys that all begin with dir.
func want(bucket, dir string, keys ...string) (objects []string) {
	for _, key := range keys {
		objects = append(objects, strings.TrimPrefix(key, dir)+" s3://"+bucket+"/"+key)
	}
	return slices.Sorted(slices.Values(objects))
}
