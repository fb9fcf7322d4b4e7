package main

// board is a dashboard. It has the variables datasource, fleet, job and instance.
type board struct {
	uid, title, about string
	inputs            []input
	links             []link
	rows              []row
}

// input is a variable that the reader types in.
type input struct{ name, label string }

// link is a link at the top of a board.
type link struct{ title, about, url string }

// row is a headline with panels below it, from left to right, in as many lines as they need.
type row struct {
	title  string
	panels []panel
}

// panel shows queries: the last values of a stat, or graphs.
type panel struct {
	stat               bool
	title, about, unit string
	queries            []query
	warn, bad          float64           // from these values on a stat is yellow or red; 0: never
	words              map[string]string // shown instead of values
	any                bool              // a stat is red below 1
	exemplars          bool              // the points of traces are shown, too
}

// query is one expression. "{" stands for the matchers of the variables, and a comma unless "}"
// follows; see expression. ALERTS has no job and instance, so that it only takes the fleet.
type query struct{ legend, expr string }

// stat returns a panel with the last value of a query.
func stat(title, about, unit, expr string) panel {
	return panel{stat: true, title: title, about: about, unit: unit, queries: []query{{"", expr}}}
}

// graph returns a panel with a line for each series.
func graph(title, about, unit string, queries ...query) panel {
	return panel{title: title, about: about, unit: unit, queries: queries}
}

// warns colors a stat whose value is too great.
func (p panel) warns(warn, bad float64) panel {
	p.warn, p.bad = warn, bad
	return p
}

// needsAny colors a stat that is 0.
func (p panel) needsAny() panel {
	p.any = true
	return p
}

// says shows words for values.
func (p panel) says(words map[string]string) panel {
	p.words = words
	return p
}

// withExemplars shows the traces that a histogram refers to.
func (p panel) withExemplars() panel {
	p.exemplars = true
	return p
}

// rate returns the query of how often a counter counts in a second, by labels.
func rate(legend, metric, by string) query {
	return query{legend, "sum by (" + by + ") (rate(" + metric + "[$__rate_interval]))"}
}

// total is rate of all series together.
func total(legend, metric string) query {
	return query{legend, "sum(rate(" + metric + "[$__rate_interval]))"}
}

// times returns the queries of the median and the 99th percentile of a histogram, by labels, each
// of which is followed by a comma.
func times(legend, metric, by string) []query {
	expr := func(q string) string {
		return "histogram_quantile(" + q + ", sum by (" + by + "le) (rate(" + metric + "_bucket{}[$__rate_interval])))"
	}
	return []query{{legend + "median", expr("0.5")}, {legend + "99 %", expr("0.99")}}
}
