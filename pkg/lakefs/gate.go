package lakefs

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"sync"
	"time"
)

const (
	// fresh is how long an answer of the server is believed without asking again.
	fresh = 10 * time.Second

	// grace is how long a caller whom the server accepted stays accepted while it is out of
	// reach, so that a poll of an import survives a restart of the server.
	grace = 10 * time.Minute

	// graceWithin bounds how long the server is asked for what it granted within the grace, so
	// that a poll is answered while the server hangs.
	graceWithin = 2 * time.Second

	maxGrants = 10_000 // that are remembered
)

// Gate asks a server who its callers are and what they may do, and remembers for a while
// what it granted. What it refuses is not remembered. Its methods may be called
// concurrently.
type Gate struct {
	session *Session
	now     func() time.Time

	mu     sync.Mutex
	grants map[grantKey]grant
}

// askUser is the question who a login is.
const askUser = "user"

type grantKey [sha256.Size]byte

type grant struct {
	user string
	at   time.Time
}

// NewGate returns a gate of the server of a session.
func NewGate(s *Session, now func() time.Time) *Gate {
	return &Gate{session: s, now: now, grants: make(map[grantKey]grant)}
}

// Authenticate returns the user of a login, and whether the server accepts it. An error
// says that the server cannot be asked.
func (g *Gate) Authenticate(ctx context.Context, l Login) (user string, ok bool, err error) {
	user, err = g.ask(ctx, keyOf(l, askUser), func(ctx context.Context) (string, error) { return g.session.As(l).user(ctx) })
	if IsRefused(err) {
		return "", false, nil
	}
	return user, err == nil, Fault(err)
}

// Accepted reports whether the server has accepted a login lately, and has not refused it since.
func (g *Gate) Accepted(l Login) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	known, ok := g.grants[keyOf(l, askUser)]
	return ok && g.now().Sub(known.at) < grace
}

// MayRead checks that a user may read a branch. It says nothing of whether the branch exists:
// the status of an import tells that its branch is gone. The error is a fault.
func (g *Gate) MayRead(ctx context.Context, l Login, repository, branch string) error {
	_, err := g.ask(ctx, keyOf(l, "read", repository, branch), func(ctx context.Context) (string, error) {
		id, err := g.session.As(l).Head(ctx, repository, branch)
		if says(err, http.StatusNotFound, "") { // the server authorizes first
			return "", nil
		}
		return id, err
	})
	return Fault(err)
}

// MayList checks that a user may list the objects of a metarange. It says nothing of whether
// there is such a metarange. The error is a fault.
func (g *Gate) MayList(ctx context.Context, l Login, repository, metarange string) error {
	_, err := g.ask(ctx, keyOf(l, "list", repository), func(ctx context.Context) (string, error) {
		return "", g.session.As(l).read(ctx, call{
			operation: "get metarange", method: http.MethodGet, path: repositoryPath(repository, "metadata", "meta_range", metarange),
		})
	})
	return Fault(err)
}

// MayCancel checks that a user may cancel imports to a branch. The error is a fault.
func (g *Gate) MayCancel(ctx context.Context, l Login, repository, branch string) error {
	return Fault(mayCancel(ctx, g.session.As(l), repository, branch))
}

// ask returns what was granted a moment ago, or asks. What was granted earlier holds while
// the server cannot be asked.
func (g *Gate) ask(ctx context.Context, key grantKey, ask func(context.Context) (string, error)) (string, error) {
	g.mu.Lock()
	known, ok := g.grants[key]
	g.mu.Unlock()
	age := g.now().Sub(known.at)
	if ok && age < fresh {
		return known.user, nil
	}
	if ok && age < grace {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, graceWithin)
		defer cancel()
	}
	value, err := ask(ctx)
	switch {
	case err == nil:
		g.remember(key, grant{value, g.now()})
	case IsRefused(err):
		g.forget(key)
	case ok && age < grace:
		return known.user, nil
	}
	return value, err
}

func (g *Gate) remember(key grantKey, v grant) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.grants) >= maxGrants {
		clear(g.grants) // all are asked for again
	}
	g.grants[key] = v
}

func (g *Gate) forget(key grantKey) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.grants, key)
}

// keyOf is a hash of a login and of what was granted to it, so that no secret is kept.
func keyOf(l Login, what ...string) (key grantKey) {
	h := sha256.New()
	add := func(s string) {
		h.Write(binary.AppendUvarint(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	for _, name := range []string{"Authorization", "Cookie"} {
		add(l.header.Get(name))
	}
	for _, s := range what {
		add(s)
	}
	h.Sum(key[:0])
	return key
}
