module github.com/rangefleet/rangefleet/test/memory

go 1.26.0
