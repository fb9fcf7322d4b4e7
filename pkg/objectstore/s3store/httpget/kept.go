package httpget

import (
	"slices"
	"time"
)

// take returns the connection to a target that was used last of those that are
// kept, or nil.
func (c *Client) take(to Target) *conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, k := range slices.Backward(c.unused) {
		if k.to == to {
			c.unused = slices.Delete(c.unused, i, i+1)
			return k
		}
	}
	return nil
}

// keep keeps a connection for the next request, unless there are enough.
func (c *Client) keep(k *conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.unused) >= c.Kept {
		return false
	}
	k.since = time.Now()
	c.unused = append(c.unused, k)
	if c.expiry == nil {
		c.expiry = time.AfterFunc(c.KeptFor, c.expire)
	}
	return true
}

// expire closes the connections that were kept for long enough, and comes back
// for the others.
func (c *Client) expire() {
	for _, k := range c.expired() {
		_ = k.Close()
	}
}

// expired takes them out.
func (c *Client) expired() []*conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for n < len(c.unused) && time.Since(c.unused[n].since) >= c.KeptFor {
		n++
	}
	old := slices.Clone(c.unused[:n])
	c.unused = slices.Delete(c.unused, 0, n)
	c.expiry = nil
	if len(c.unused) > 0 {
		c.expiry = time.AfterFunc(c.KeptFor-time.Since(c.unused[0].since), c.expire)
	}
	return old
}
