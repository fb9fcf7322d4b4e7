package server

import (
	"net/http"
	"strings"
	"time"
)

// crowd bounds how many do a thing at a time. The zero crowd lets nobody in. Its
// methods may be called concurrently.
type crowd chan struct{}

// enter reports whether there is room for one more, who must leave.
func (c crowd) enter() bool {
	select {
	case c <- struct{}{}:
		return true
	default:
		return false
	}
}

func (c crowd) leave() { <-c }

// crowdedFor is after how long a request that found no room is worth another try.
const crowdedFor = time.Second

// admitUpTo serves so many requests at a time, and besides them those that ask how the
// process is.
func admitUpTo(most int, next http.Handler) http.Handler {
	served := make(crowd, most)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_") || r.URL.Path == "/metrics" {
			next.ServeHTTP(w, r)
			return
		}
		if !served.enter() {
			tooMany(w, crowdedFor, "too many requests at a time, try again")
			return
		}
		defer served.leave()
		next.ServeHTTP(w, r)
	})
}
