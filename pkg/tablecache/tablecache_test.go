package tablecache_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/table"
	"github.com/rangefleet/rangefleet/pkg/tablecache"
)

// source is files in memory. Its fields are guarded by mu.
type source struct {
	mu    sync.Mutex
	files map[string][]byte
	calls int
	hold  chan struct{} // if not nil, a call waits until it is closed
}

func (s *source) GetRange(ctx context.Context, id string, offset, n int64) ([]byte, int64, error) {
	s.mu.Lock()
	s.calls++
	data, ok, hold := s.files[id], s.files[id] != nil, s.hold
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
	if !ok {
		return nil, 0, errMissing
	}
	return bytes.Clone(data[offset:min(int64(len(data)), offset+n)]), int64(len(data)), nil
}

var errMissing = errors.New("no such file")

func (s *source) add(data []byte) (id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files == nil {
		s.files = map[string][]byte{}
	}
	sum := sha256.Sum256(data)
	id = hex.EncodeToString(sum[:])
	s.files[id] = data
	return id
}

// took returns how many calls there were since it was asked last.
func (s *source) took() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.calls
	s.calls = 0
	return n
}

// small returns a table of one chunk, stored by its ID.
func (s *source) small(t *testing.T) table.Table {
	t.Helper()
	w := table.NewWriter(table.Ranges)
	for i := range 1000 {
		if err := w.Add(fmt.Appendf(nil, "key %06d", i), []byte("value")); err != nil {
			t.Fatal(err)
		}
	}
	tab := w.Close()
	s.files = map[string][]byte{tab.Meta.ID: tab.Data}
	return tab
}

const mib = 1 << 20

// large adds a file of many chunks, whose content nobody checks.
func (s *source) large(t *testing.T, size int) (id string, content []byte) {
	t.Helper()
	rng := seeded.Rand(t)
	content = make([]byte, size)
	for i := range content {
		content[i] = byte(rng.Uint32())
	}
	return s.add(content), content
}

// Any section of a file is what the file holds there, whatever is kept.
func TestSectionsAreThoseOfTheFile(t *testing.T) {
	rng := seeded.Rand(t)
	var s source
	id, content := s.large(t, 5*mib+12345)
	f := open(t, tablecache.New(2*mib, nil).In("ns", &s), id)
	if f.Size() != int64(len(content)) {
		t.Fatalf("size %d, want %d", f.Size(), len(content))
	}
	for range 2000 {
		n := rng.IntN(100)
		if rng.IntN(20) == 0 {
			n = rng.IntN(2 * mib)
		}
		offset := rng.IntN(len(content) - n + 1)
		got, err := f.Section(t.Context(), int64(offset), int64(n))
		if err != nil || !bytes.Equal(got, content[offset:offset+n]) {
			t.Fatalf("%d bytes at %d: %v, or they are others", n, offset, err)
		}
	}
}

// What was read is kept within the limit, and what was not used for longest goes.
func TestKeepsWhatWasUsedLastWithinItsLimit(t *testing.T) {
	const limit = 2*mib + 8<<10
	var s source
	reg := prometheus.NewPedanticRegistry()
	files := tablecache.New(limit, reg).In("ns", &s)
	id, _ := s.large(t, 8*mib)
	f := open(t, files, id)
	read := func(chunk int) int {
		t.Helper()
		s.took()
		if _, err := f.Section(t.Context(), int64(chunk)*mib/2, 1); err != nil {
			t.Fatal(err)
		}
		return s.took()
	}
	for _, step := range []struct{ chunk, calls int }{
		{0, 0}, {1, 1}, {2, 1}, {0, 0}, {3, 1}, {0, 0}, {1, 0}, // four are kept
		{4, 1}, {2, 1}, {3, 1}, {0, 1}, {1, 1}, // 2, 3, 0 and 1 went, one after the other
	} {
		if got := read(step.chunk); got != step.calls {
			t.Errorf("chunk %d: %d reads, want %d", step.chunk, got, step.calls)
		}
		if kept := measured.Sum(t, reg, "rangefleet_table_cache_bytes"); kept > limit {
			t.Errorf("%v bytes are kept, want at most %d", kept, limit)
		}
	}
}

// Concurrent callers share one read of a chunk, also if the caller that began it gives up.
func TestConcurrentCallersShareOneRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := source{hold: make(chan struct{})}
		tab := s.small(t)
		files := tablecache.New(mib, nil).In("ns", &s)
		ctx, cancel := context.WithCancel(t.Context())
		first := make(chan error)
		go func() { _, err := files.Open(ctx, tab.Meta.ID); first <- err }()
		synctest.Wait()
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				if _, err := files.Open(t.Context(), tab.Meta.ID); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		cancel()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("the caller that gave up got %v", err)
		}
		close(s.hold)
		group.Wait()
		if got := s.took(); got != 1 {
			t.Errorf("%d reads, want 1", got)
		}
	})
}

// A store that hangs is not waited for without end.
func TestReadsHaveADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := source{hold: make(chan struct{})}
		tab := s.small(t)
		if _, err := tablecache.New(mib, nil).In("ns", &s).Open(t.Context(), tab.Meta.ID); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want DeadlineExceeded", err)
		}
	})
}

// A file of one chunk that is not what its ID says is ErrCorrupt, and is not kept.
func TestWhatIsDamagedIsNotKept(t *testing.T) {
	var s source
	tab := s.small(t)
	files := tablecache.New(mib, nil).In("ns", &s)
	damaged := bytes.Clone(tab.Data)
	damaged[len(damaged)/2] ^= 1
	s.files[tab.Meta.ID] = damaged
	for range 2 {
		if _, err := files.Open(t.Context(), tab.Meta.ID); !errors.Is(err, table.ErrCorrupt) {
			t.Errorf("error %v, want ErrCorrupt", err)
		}
	}
	s.files[tab.Meta.ID] = tab.Data
	if _, err := table.Open(t.Context(), open(t, files, tab.Meta.ID)); err != nil {
		t.Error(err)
	}
}

// A section that is renewed is read again.
func TestRenew(t *testing.T) {
	const at = 2*mib + 5
	var s source
	id, content := s.large(t, 3*mib)
	f := open(t, tablecache.New(4*mib, nil).In("ns", &s), id)
	right := content[at]
	expect := func(when string, want byte) {
		t.Helper()
		if got, err := f.Section(t.Context(), at, 1); err != nil || got[0] != want {
			t.Errorf("%s: %x, %v, want %x", when, got, err, want)
		}
	}
	content[at] ^= 1
	expect("damaged", right^1)
	content[at] = right
	expect("kept", right^1)
	f.Renew(0, 1)
	expect("another section renewed", right^1)
	if !f.Renew(at, 1) {
		t.Error("a section of a store cannot be renewed")
	}
	expect("renewed", right)
}

// Files of one ID in two places are not taken for the same.
func TestPlacesAreKeptApart(t *testing.T) {
	var s, other source
	tab := s.small(t)
	c := tablecache.New(mib, nil)
	open(t, c.In("ns", &s), tab.Meta.ID)
	if _, err := c.In("other", &other).Open(t.Context(), tab.Meta.ID); !errors.Is(err, errMissing) {
		t.Errorf("error %v, want that of the other place", err)
	}
}

// A file that changes its size under its ID is an error that names it.
func TestFileThatChangesItsSize(t *testing.T) {
	var s source
	id, content := s.large(t, 2*mib)
	f := open(t, tablecache.New(4*mib, nil).In("ns", &s), id)
	s.files[id] = content[:mib+7]
	if _, err := f.Section(t.Context(), mib, 1); err == nil || !strings.Contains(err.Error(), id) {
		t.Errorf("error %v, want one that names %s", err, id)
	}
}

func open(t *testing.T, files *tablecache.Files, id string) table.File {
	t.Helper()
	f, err := files.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
