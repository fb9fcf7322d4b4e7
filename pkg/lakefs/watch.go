package lakefs

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"
)

const (
	watchEvery  = 15 * time.Second // between two questions, give or take a third
	watchWithin = 5 * time.Second  // one question
)

// Watch asks the server whether it is there, now and every 10 to 20 seconds, until ctx ends. So the
// metric lakefs_reachable is current even if nobody calls. It asks without a login, and does not try
// again sooner if it gets no answer.
func Watch(ctx context.Context, s *Session) {
	for ctx.Err() == nil {
		s.server.lookAlive(ctx)
		_ = s.server.config.Sleep(ctx, watchEvery*2/3+rand.N(watchEvery*2/3)) // the loop looks at ctx
	}
}

// lookAlive asks whether the server is there, and notes that. It does not count among the calls, whose
// times it would hide.
func (s *server) lookAlive(ctx context.Context) {
	timed, cancel := context.WithTimeout(ctx, watchWithin)
	defer cancel()
	status, _ := s.send(timed, Login{}, call{method: http.MethodGet, path: []string{"healthcheck"}})
	if status != 0 || ctx.Err() == nil { // else the process ends
		s.reached(status)
	}
}
