package coordinator

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// lines has the imports of one branch land one after another: each of several at
// the same time would but undo the others' work. Every other turn goes to the
// smallest import that waits, so that a small one does not wait behind many large
// ones, and the turns between to the one that has waited longest, so that none
// waits for ever. Its methods may be called concurrently.
type lines struct {
	mu sync.Mutex
	of map[string]*line // by branch; of those that somebody has or waits for
}

// line is those that want to land on one branch.
type line struct {
	branch  string    // with its repository
	waiting []*waiter // in the order of arrival
	given   int       // turns to those that had waited

	claim claim // for whoever has the turn
}

type waiter struct {
	objects int64
	turn    chan struct{} // closed once it is its turn
}

// take waits for a turn on a branch of an import of so many objects, or for the
// end of ctx. Who has got it gives it back by leave.
func (l *lines) take(ctx context.Context, branch string, objects int64) (*line, error) {
	mine, w := l.join(branch, objects)
	select {
	case <-w.turn:
		return mine, nil
	case <-ctx.Done():
	}
	if !l.quit(mine, w) {
		return mine, nil // it was its turn after all, and there is something to give back
	}
	return nil, ctx.Err()
}

func (l *lines) join(branch string, objects int64) (*line, *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &waiter{objects, make(chan struct{})}
	mine := l.of[branch]
	if mine == nil {
		mine = &line{branch: branch}
		l.of[branch] = mine
		close(w.turn)
	} else {
		mine.waiting = append(mine.waiting, w)
	}
	return mine, w
}

// quit reports whether w waited until now.
func (l *lines) quit(mine *line, w *waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(mine.waiting)
	mine.waiting = slices.DeleteFunc(mine.waiting, func(other *waiter) bool { return other == w })
	return len(mine.waiting) < n
}

// crowded reports whether others wait for a turn.
func (l *lines) crowded(mine *line) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(mine.waiting) > 0
}

// leave gives the turn to the next one, and reports whether there is one: else
// the line is nobody's any more.
func (l *lines) leave(mine *line) (next bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(mine.waiting) == 0 {
		delete(l.of, mine.branch)
		return false
	}
	chosen := mine.waiting[0]
	if mine.given%2 == 0 {
		chosen = slices.MinFunc(mine.waiting, func(a, b *waiter) int { return cmp.Compare(a.objects, b.objects) })
	}
	mine.given++
	mine.waiting = slices.DeleteFunc(mine.waiting, func(w *waiter) bool { return w == chosen })
	close(chosen.turn)
	return true
}
