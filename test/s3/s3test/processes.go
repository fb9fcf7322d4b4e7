package s3test

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/await"
	"github.com/rangefleet/rangefleet/internal/process"
)

// Versions of the servers that run as processes. The tests describe the behavior of these versions.
const (
	minioVersion   = "v0.0.0-20260212201848-7aac2a2c5b7c"
	versityVersion = "v1.8.0"
	motoVersion    = "5.2.1"
)

// Credentials of the user that the servers create when they start.
const (
	accessKey = "rangefleet"
	secretKey = "rangefleet-test-secret"
)

// MinIO installs MinIO and starts it with one drive. It runs until t ends.
func MinIO(t testing.TB) Server {
	t.Helper()
	server, _ := RestartableMinIO(t)
	return server
}

// RestartableMinIO is like MinIO. It also returns a function that kills the server, restarts it
// with the same data, and returns when it serves.
func RestartableMinIO(t testing.TB) (server Server, restart func()) {
	t.Helper()
	program, err := goProgram(t.Context(), "github.com/minio/minio", minioVersion)
	if err != nil {
		t.Fatal(err)
	}
	return startRestartable(t, "/minio/health/live", func(address, dir string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), program, "server", "--quiet", "--address", address, dir) //nolint:gosec // installed here
		cmd.Env = process.Env(dir, "MINIO_ROOT_USER="+accessKey, "MINIO_ROOT_PASSWORD="+secretKey, "MINIO_BROWSER=off")
		return cmd
	})
}

// Versity installs the Versity gateway and starts it on a directory. It runs until t ends.
func Versity(t testing.TB) Server {
	t.Helper()
	program, err := goProgram(t.Context(), "github.com/versity/versitygw/cmd/versitygw", versityVersion)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, "/health", func(address, dir string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), program, "--quiet", "--health", "/health", "--port", address, "posix", dir) //nolint:gosec // installed here
		cmd.Env = process.Env(dir, "ROOT_ACCESS_KEY="+accessKey, "ROOT_SECRET_KEY="+secretKey)
		return cmd
	})
}

// Moto installs moto and starts it. It runs until t ends. It needs python3 with venv, keeps
// objects in memory and does not check credentials.
func Moto(t testing.TB) Server {
	t.Helper()
	python, err := pythonWith(t.Context(), "moto@"+motoVersion, "moto[s3]=="+motoVersion, "flask==3.1.3", "flask-cors==6.0.5")
	if err != nil {
		t.Fatal(err)
	}
	return start(t, "/moto-api/", func(address, dir string) *exec.Cmd {
		host, port, _ := net.SplitHostPort(address)
		cmd := exec.CommandContext(t.Context(), python, "-m", "moto.server", "--host", host, "--port", port) //nolint:gosec // installed here
		cmd.Env = process.Env(dir)
		return cmd
	})
}

// startup is the most time that a server takes to start on a busy machine.
const startup = 2 * time.Minute

// start is startRestartable for a server that is not restarted.
func start(t testing.TB, health string, command func(address, dir string) *exec.Cmd) Server {
	t.Helper()
	server, _ := startRestartable(t, health, command)
	return server
}

// startRestartable runs the server that command makes for an address and an empty
// directory, and waits until it serves the path health. The server is killed when t ends.
func startRestartable(t testing.TB, health string, command func(address, dir string) *exec.Cmd) (server Server, restart func()) {
	t.Helper()
	address, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p, err := process.Start(func() *exec.Cmd { return command(address, dir) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	serving := await.Serving("http://" + address + health)
	ready := func() {
		err := await.Until(t.Context(), startup, func(ctx context.Context) (bool, error) {
			select {
			case <-p.Done:
				return false, fmt.Errorf("the server ended: %v", p.Cmd.ProcessState)
			default:
				return serving(ctx)
			}
		})
		if err != nil {
			t.Fatalf("%s does not start: %v\n%s", p.Cmd.Path, err, process.Tail(p.Output(), 20))
		}
	}
	ready()
	restart = func() {
		if err := p.Restart(); err != nil {
			t.Fatal(err)
		}
		ready()
	}
	return Server{Endpoint: "http://" + address, AccessKeyID: accessKey, SecretAccessKey: secretKey}, restart
}
