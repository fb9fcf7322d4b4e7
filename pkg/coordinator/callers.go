package coordinator

import (
	"sync"

	"github.com/rangefleet/rangefleet/pkg/lakefs"
)

// callers are the sessions of those who started the imports that this process drives. They
// are kept in memory alone. Its methods may be called concurrently.
type callers struct {
	mu sync.Mutex
	by map[string]*lakefs.Session // by import
}

func newCallers() *callers { return &callers{by: make(map[string]*lakefs.Session)} }

// note records the login of the caller of an import that may be driven from now on, if
// repositories are kept at a server.
func (c *callers) note(id string, server *lakefs.Session, l lakefs.Login) {
	if server == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by[id] = server.As(l)
}

// of returns the session of an import's caller, or nil if this process does not know it.
func (c *callers) of(id string) *lakefs.Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.by[id]
}

func (c *callers) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.by, id)
}
