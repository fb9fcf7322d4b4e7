package readahead

// Active reports whether anything is listed now.
func (l *Limiter) Active() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.active > 0
}

// Busy reports whether more than half of the calls that may be in flight are, including
// those that wait for their next try. Another listing would take calls from those that
// there are.
func (l *Limiter) Busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := max(1, l.active)
	return 2*l.inFlight > n*max(1, int(l.limit)/n)
}

// Throttles returns how often the limit was cut because the store throttled a call of this
// process.
func (l *Limiter) Throttles() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.throttles
}

// Cut cuts the limit because the store throttled another process. It does nothing within a
// round trip after the last cut, which had the same cause.
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
