package readahead

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// A continuation token may stand for a listing that a store holds in memory. If MinIO has lost
// it, as after a restart, it answers the token like a start after the last key, and may
// report an end too early. So on stores whose ends are to be confirmed, LISTs look behind
// the end of a walk of several pages. They can refute the end, but not prove it.

// maxWalks bounds how often a prefix is walked because each walk's end was refuted. A store
// that restarts is walked twice.
const maxWalks = 3

// probe is a LIST that may show a key behind the end of a walk.
type probe struct{ prefix, after string }

// probesBehind returns LISTs that together show any key with the prefix behind the last one
// of a walk: in its directory, then behind each directory that it lies in, from the
// deepest on. A directory D/ ends before D0, since '0' follows '/'. Only the first LIST
// starts within a directory of the key: MinIO answers such starts wrongly.
func probesBehind(prefix, last string) []probe {
	dir := func(key string) string { return key[:strings.LastIndexByte(key, '/')+1] }
	probes := []probe{{max(prefix, dir(last)), last}}
	for d := dir(last); len(d) > len(prefix); d = dir(d[:len(d)-1]) {
		behind := d[:len(d)-1] + "0"
		probes = append(probes, probe{max(prefix, dir(behind)), behind}, probe{behind, ""})
	}
	return probes
}

// behind returns a key with the walk's prefix that lies behind its last one and is older than
// the walk, or "". A walk may miss keys that are added while it runs.
func (w *walk[P]) behind(ctx context.Context, last string) (string, error) {
	for _, p := range probesBehind(w.prefix, last) {
		page, _, err := w.lister.fetch(ctx, p.prefix, p.after)
		if objectstore.Permanent(err) {
			continue // the store does not answer such a start, so that it refutes nothing
		}
		if err != nil {
			return "", fmt.Errorf("look behind key %q, where the walk ended: %w", last, err)
		}
		key := w.older(page, last)
		release(page)
		if key != "" {
			return key, nil
		}
	}
	return "", nil
}

// older returns the first key of a page that lies behind the walk's last one and is older
// than the walk.
func (w *walk[P]) older(page P, last string) string {
	var key []byte
	for i := range page.Len() {
		key = page.AppendKey(key[:0], i)
		if string(key) > last && page.ModTime(i) < w.begun.UnixNano() {
			return string(key)
		}
	}
	return ""
}

// run walks the prefix to its end, an error, or the end of ctx. If the end is refuted, it
// walks the prefix again, and passes over the keys that it had.
func (w *walk[P]) run(ctx context.Context) error {
	w.begun = time.Now()
	last := ""
	for walks := 1; ; walks++ {
		end, pages, err := w.once(ctx, last)
		if err != nil {
			return err
		}
		last = max(last, end)
		if pages < 2 || !w.lister.cfg.ConfirmEnds {
			return nil
		}
		refuted, err := w.behind(ctx, last)
		if err != nil || refuted == "" {
			return err
		}
		if walks == maxWalks {
			return fmt.Errorf("%d walks ended, the last one after key %q, though key %q follows: %w", walks, last, refuted, objectstore.ErrBadListing)
		}
		w.lister.metrics.restarts.Inc()
	}
}
