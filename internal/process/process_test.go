package process_test

import (
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/process"
)

func TestRunsAndRestarts(t *testing.T) {
	runs := 0
	p, err := process.Start(func() *exec.Cmd {
		runs++
		return exec.CommandContext(t.Context(), "sh", "-c", "echo began; exec sleep 600")
	})
	expect.NoError(t, err)
	t.Cleanup(p.Kill)
	expect.Eventually(t, "the first run began", func() bool { return p.Output() == "began\n" })
	first, ended := p.Cmd, p.Done
	expect.NoError(t, p.Restart())
	expect.Received(t, "the end of the first run", ended)
	if status, ok := first.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Errorf("the first run ended with %v", first.ProcessState)
	}
	expect.Eventually(t, "the second run began", func() bool { return p.Output() == "began\nbegan\n" })
	p.Kill()
	p.Kill() // again is harmless
	if runs != 2 {
		t.Errorf("%d commands were made", runs)
	}
}

func TestStartReportsAMissingProgram(t *testing.T) {
	if _, err := process.Start(func() *exec.Cmd { return exec.CommandContext(t.Context(), "/no/such/program") }); err == nil || !strings.Contains(err.Error(), "start /no/such/program: ") {
		t.Errorf("started a missing program: %v", err)
	}
}

func TestTail(t *testing.T) {
	for text, want := range map[string]string{"": "", "a\n": "a", "a\nb\nc\n": "b\nc"} {
		if got := process.Tail(text, 2); got != want {
			t.Errorf("the end of %q is %q, want %q", text, got, want)
		}
	}
}

func TestFreeAddress(t *testing.T) {
	address, err := process.FreeAddress()
	expect.NoError(t, err)
	if port := netip.MustParseAddrPort(address).Port(); port >= 32768 {
		t.Errorf("Linux may assign port %d to others", port)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	expect.NoError(t, err)
	expect.NoError(t, l.Close())
}
