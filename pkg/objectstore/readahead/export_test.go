package readahead

// Lister is a lister of pages that a test makes.
type Lister[P paged[P]] = lister[P]

// NewLister returns a lister of what pages lists.
func NewLister[P paged[P]](pages pager[P], cfg Config, m *Metrics) *Lister[P] {
	return &lister[P]{pages, cfg, m, func(error) {}}
}

// Tell has repeated told of each call that l repeats.
func (l *lister[P]) Tell(repeated func(cause error)) { l.repeated = repeated }

// Limit returns how many LISTs may be in flight now, at least 1.
func (l *Limiter) Limit() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int(l.limit)
}
