package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/bench/synths3"
)

func TestServesUntilInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-listen", "127.0.0.1:0", "-quirks", "no_key_count"}, writer)
		_ = writer.Close()
	}()
	lines := bufio.NewReader(reader)
	url, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err, <-ended)
	}
	resp, err := http.Get(strings.TrimSpace(url) + "/zipf-10k?list-type=2")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || strings.Contains(string(body), "KeyCount") || !strings.Contains(string(body), "<Key>tenant-") {
		t.Errorf("%v, %.500s", err, body)
	}
	_ = resp.Body.Close()
	stop()
	var c synths3.Counters
	if err := json.NewDecoder(lines).Decode(&c); err != nil || c.Keys != 1000 || c.QuirkyPages != 1 {
		t.Errorf("%v, counters %+v", err, c)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestInvalidFlagsAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-slowdown", "2"}, {"-quirks", "none"}, {"-listen", "nowhere:x"}, {"-nothing"}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
}

func TestPrintsShapes(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), []string{"-shapes"}, &out); err != nil || strings.Count(out.String(), "\n") < 18 {
		t.Errorf("%v, %s", err, out.String())
	}
}
