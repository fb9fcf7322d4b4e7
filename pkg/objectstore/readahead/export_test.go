package readahead

// Lister is a lister of pages that a test makes.
type Lister[P paged[P]] = lister[P]

// NewLister returns a lister of what pages lists.
func NewLister[P paged[P]](pages pager[P], cfg Config, m *Metrics) *Lister[P] {
	return newLister(pages, cfg, m)
}
