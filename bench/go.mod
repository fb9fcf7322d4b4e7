module github.com/rangefleet/rangefleet/bench

go 1.26.0

require github.com/rangefleet/rangefleet v0.0.0

replace github.com/rangefleet/rangefleet => ../
