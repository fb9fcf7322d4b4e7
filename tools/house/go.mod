// The checks of this repository's own, in a module of their own so that what they
// depend on is not the project's.
module github.com/rangefleet/rangefleet/tools/house

go 1.26.0

require golang.org/x/tools v0.52.0

require (
	golang.org/x/mod v0.42.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
)
