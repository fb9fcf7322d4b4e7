package node

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

// A process of the fleet that crashes leaves no memory behind, whatever the limit of its shell is.
// The process of this test is another one, since that cannot be undone.
func TestProcessesLeaveNoCoreDumps(t *testing.T) {
	const child = "TEST_NODE_CORE"
	if os.Getenv(child) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	cmd := Command("worker", "short", settings.Worker, nil)
	cmd.SetArgs([]string{"config", "print"})
	if code := Main(cmd); code != 1 { // no NATS server is named
		t.Errorf("exit code %d", code)
	}
	var limit syscall.Rlimit
	expect.NoError(t, syscall.Getrlimit(syscall.RLIMIT_CORE, &limit))
	dumpable, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_GET_DUMPABLE, 0, 0)
	if limit.Cur != 0 || limit.Max != 0 || dumpable != 0 || errno != 0 {
		t.Errorf("limits %+v, dumpable %d (%v)", limit, dumpable, errno)
	}
}
