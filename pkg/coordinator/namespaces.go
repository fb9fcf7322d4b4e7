package coordinator

import (
	"context"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/pkg/catalog"
)

// Of the repositories that were listed, as many are kept, for as long.
const (
	keepNamespaces    = 5 * time.Second
	maxKeptNamespaces = 10_000 // about 2 MB
)

// namespaces keeps the storage namespaces of all repositories for a moment. Its methods may be
// called concurrently.
type namespaces struct {
	list func(ctx context.Context) ([]catalog.Repository, error)
	now  func() time.Time

	mu   sync.Mutex
	kept []catalog.Repository // with IDs and namespaces alone; nil if none are kept
	at   time.Time            // when they were listed
}

// recent returns the repositories that there were at some moment of the last keepNamespaces.
func (n *namespaces) recent(ctx context.Context) ([]catalog.Repository, error) {
	n.mu.Lock()
	kept, at := n.kept, n.at
	n.mu.Unlock()
	if kept != nil && n.now().Sub(at) < keepNamespaces {
		return kept, nil
	}
	return n.fresh(ctx)
}

// fresh returns the repositories that there are now.
func (n *namespaces) fresh(ctx context.Context) ([]catalog.Repository, error) {
	at := n.now()
	listed, err := n.list(ctx)
	if err != nil {
		return nil, err
	}
	var kept []catalog.Repository
	if len(listed) <= maxKeptNamespaces {
		for _, r := range listed {
			kept = append(kept, catalog.Repository{ID: r.ID, StorageNamespace: r.StorageNamespace})
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.kept, n.at = kept, at
	return listed, nil
}
