package readahead

// Active reports whether anything is listed now.
func (l *Limiter) Active() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.active > 0
}

// Busy reports whether more than half of the calls that may be in flight are, those
// included that are to be made again: another listing would take them from those
// that there are.
func (l *Limiter) Busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := max(1, l.active)
	return 2*l.inFlight > n*max(1, int(l.limit)/n)
}

// call counts a call, until answered.
func (l *Limiter) call() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight++
}

func (l *Limiter) answered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight--
}

// Cuts returns how often the store throttled calls so that the limit was cut.
func (l *Limiter) Cuts() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cuts
}

// Cut cuts the limit because the store throttled another process. If it was cut
// not a round trip ago, this is the same complaint, and nothing happens.
func (l *Limiter) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since >= int(l.limit) {
		l.cut()
	}
}

// Most returns the bound of the limit.
func (l *Limiter) Most() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limits.Most
}

// SetMost bounds the limit to n, at least 1, from now on.
func (l *Limiter) SetMost(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limits.Most = max(1, n)
	l.limit = min(l.limit, float64(l.limits.Most))
}
