// Package s3test gives tests a real S3 server.
package s3test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3bolt"
	bolt "go.etcd.io/bbolt"

	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
)

// Server is a running S3 server with the credentials of a user who has all permissions.
type Server struct {
	Endpoint        string
	AccessKeyID     string
	SecretAccessKey string
}

// Config returns the configuration of a store on the server.
func (s Server) Config() s3store.Config {
	return s3store.Config{
		Endpoint: s.Endpoint, Region: "us-east-1", ForcePathStyle: true,
		AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey,
	}
}

// client returns a client of the SDK that uses none of the product's code. A server that does not
// answer within a minute fails the test: the caller's context may have no deadline.
func (s Server) client() *s3.Client {
	return s3.New(s3.Options{
		HTTPClient:   &http.Client{Timeout: time.Minute},
		BaseEndpoint: &s.Endpoint, Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKeyID, s.SecretAccessKey, ""),
	})
}

// CreateBucket creates a bucket.
func (s Server) CreateBucket(ctx context.Context, name string) error {
	if _, err := s.client().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name}); err != nil {
		return fmt.Errorf("create bucket %s: %w", name, err)
	}
	return nil
}

// Embedded starts an S3 server in the test process. It runs until t ends, does not check
// credentials, and ignores encoding-type=url.
func Embedded(t testing.TB) Server {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "s3.bolt"), 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(s3bolt.New(db)).Server())
	t.Cleanup(func() {
		server.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return Server{Endpoint: server.URL, AccessKeyID: "any", SecretAccessKey: "any"}
}

// Names of the environment variables that up.sh prints for a running Ceph gateway.
const (
	envEndpoint  = "TEST_S3_ENDPOINT"
	envAccessKey = "TEST_S3_ACCESS_KEY_ID"
	envSecretKey = "TEST_S3_SECRET_ACCESS_KEY"
)

// Ceph returns the Ceph gateway that the environment names. If there is none, it starts one, which
// takes a quarter of a minute and needs root on Debian or Ubuntu. The caller must call stop. Call
// Ceph from TestMain to share the gateway between all tests.
func Ceph() (server Server, stop func(), err error) {
	if endpoint := os.Getenv(envEndpoint); endpoint != "" {
		return Server{endpoint, os.Getenv(envAccessKey), os.Getenv(envSecretKey)}, func() {}, nil
	}
	parent, err := os.MkdirTemp("", "rangefleet-ceph-")
	if err != nil {
		return Server{}, nil, err
	}
	dir := filepath.Join(parent, "ceph")
	stop = func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = exec.CommandContext(ctx, script("down.sh"), dir).Run() //nolint:gosec // scripts of this repository
		_ = os.RemoveAll(parent)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	up := exec.CommandContext(ctx, script("up.sh"), dir) //nolint:gosec // a script of this repository
	up.Stderr = os.Stderr
	out, err := up.Output()
	if err != nil {
		stop()
		return Server{}, nil, fmt.Errorf("start Ceph: %w", err)
	}
	env := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), "=")
		env[name] = value
	}
	return Server{env[envEndpoint], env[envAccessKey], env[envSecretKey]}, stop, nil
}

// script returns the path of a script in test/ceph.
func script(name string) string {
	_, self, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(self), "..", "..", "ceph", name)
}
