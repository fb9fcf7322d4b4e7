package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// FuzzClient looks for headers that make a client seem to be at an address that no proxy vouches
// for.
func FuzzClient(f *testing.F) {
	for _, header := range []string{"", "198.51.100.7", "203.0.113.9, 198.51.100.7,10.0.0.2", "unknown, 198.51.100.7", "::ffff:198.51.100.7", "fe80::1%eth0", "10.0.0.2:80", "[::1]", ",,"} {
		f.Add("10.0.0.1:1", header)
		f.Add("192.0.2.1:1", header)
	}
	proxies := Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	f.Fuzz(func(t *testing.T, peer, header string) {
		got := proxies.client(&http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {header}}})
		from, err := netip.ParseAddrPort(peer)
		if err != nil {
			if got.IsValid() {
				t.Errorf("from %q: %v", peer, got)
			}
			return
		}
		at := from.Addr().Unmap()
		if !proxies.trust(at) && got != at {
			t.Errorf("from %v, no proxy, with %q: %v", at, header, got)
		}
		// What a client writes before the address that its proxy adds does not matter.
		const address = "198.51.100.7"
		forged := http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{"X-Forwarded-For": {header, address}}}
		if got := proxies.client(&forged); got.String() != address {
			t.Errorf("with %q before it: %v, want %s", header, got, address)
		}
	})
}

// FuzzRangeTokens looks for a token that was not made for the request, and is accepted.
func FuzzRangeTokens(f *testing.F) {
	tokens := rangeTokens{newSealer(f), func() time.Time { return created }, []string{"ingest range", "admin", "lake", "s3://b/", "c/"}}
	theirs := rangeTokens{tokens.sealer, tokens.now, []string{"ingest range", "ann", "lake", "s3://b/", "c/"}}
	mine := tokens.token("b/key")
	for _, text := range []string{"", mine, theirs.token("b/key"), mine[1:], "AAAA", strings.Repeat("A", 100)} {
		f.Add(text, "", int64(0))
		f.Add("", text, int64(limits.ContinuationTime))
		f.Add(mine, "", int64(limits.ContinuationTime)+1)
	}
	f.Fuzz(func(t *testing.T, token, staging string, age int64) {
		later := tokens
		later.now = func() time.Time { return created.Add(time.Duration(age%(1<<30)) * time.Second) }
		after, err := later.after(api.StageRangeCreation{After: "b/first", ContinuationToken: token, StagingToken: staging})
		switch {
		case err == nil && (staging != "" || age%(1<<30) > limits.ContinuationTime && token != ""):
			t.Errorf("%q and %q after %d seconds are accepted", token, staging, age)
		case err == nil && token == "" && after != "b/first", err == nil && token != "" && after != "b/key":
			t.Errorf("%q leads to %q", token, after)
		case err == nil && token != "" && token[:len(token)-1] != mine[:len(mine)-1]: // of the last character some bits may mean nothing
			t.Errorf("%q is accepted", token)
		}
	})
}

// FuzzAskedBy looks for bodies that a proxy understands in another way than the handler of imports:
// a dry run must never be handed to a lakeFS server, which would import.
func FuzzAskedBy(f *testing.F) {
	for _, path := range []string{"s3://b/", "gs://b/", `gs:\/\/b`, "local:///d", "://", `\ud800`} {
		f.Add(fmt.Sprintf(`{"paths":[{"type":"common_prefix","path":"%s","destination":""}],"commit":{"message":"m"},"dry_run":true}`, path))
		f.Add(fmt.Sprintf(`{"paths":[{"type":"common_prefix","path":"%s","destination":""}],"commit":{"message":"m"},"Dry_Run":true,"dry_run":false}`, path))
	}
	f.Add(`{"paths":null}`)
	f.Add("{")
	f.Fuzz(func(t *testing.T, body string) {
		got := askedBy([]byte(body))
		var first json.RawMessage // a server may read no further
		if json.NewDecoder(strings.NewReader(body)).Decode(&first) != nil && got != (asked{}) {
			t.Errorf("no JSON asks for %+v", got)
		}
		start, flat, err := readImport([]byte(body))
		if err == nil && !flat && start.Request.DryRun != got.dry {
			t.Errorf("dry run %v, but the proxy reads %v", start.Request.DryRun, got.dry)
		}
	})
}
