package coordinator

import (
	"context"
	"time"

	"github.com/rangefleet/rangefleet/pkg/catalog"
)

// repositoriesFresh is how long the list of a server's repositories is believed at the start
// of an import.
const repositoriesFresh = 10 * time.Second

// repositoryList is the list of a server's repositories, as it was read last. Its methods may
// be called concurrently.
type repositoryList struct {
	read func(context.Context) ([]catalog.Repository, error)
	now  func() time.Time

	turn chan struct{} // holds a value while a caller uses what follows: one reads, and others wait for it
	at   time.Time     // before the last reading began
	all  []catalog.Repository
}

// since returns the repositories as they were at some moment after t. The caller must not
// change the list.
func (l *repositoryList) since(ctx context.Context, t time.Time) ([]catalog.Repository, error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if l.at.After(t) {
		return l.all, nil
	}
	at := l.now()
	all, err := l.read(ctx)
	if err == nil {
		l.at, l.all = at, all
	}
	return all, err
}
