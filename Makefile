# The tasks of this repository, for people and for CI.
GO ?= go
BIN := bin

# Tests that depend on reference implementations are modules of their own; see
# CONTRIBUTING.md.
TEST_MODULES := $(sort $(patsubst %/go.mod,%,$(wildcard test/*/go.mod bench/go.mod tools/house/go.mod)))
LINT_MODULES := $(TEST_MODULES) bench/baseline

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 14

.PHONY: build
build: ## Build coordinator, worker and rangectl into bin/
	$(GO) build -o $(BIN)/ ./cmd/...

.PHONY: demo
demo: ## Import a directory tree into a branch, in one process, and look at it
	$(GO) run ./cmd/coordinator demo

.PHONY: demo-watch
demo-watch: ## Import under the eyes of Prometheus while a worker is killed, and say where to look
	deploy/demo-watch.sh

.PHONY: watch-healthy
watch-healthy: ## Run a healthy fleet, with an upgrade and restarts, for half an hour: no alert may fire
	cd test/deploy && HEALTHY_FOR=30m $(GO) test -count=1 -timeout 60m -run TestHealthyFleetRaisesNoAlert .

.PHONY: watch-faults
watch-faults: ## Break each part of a fleet until its alerts fire, with the 20 failing tries of a partition
	cd test/deploy && REAL_FAULTS=1 $(GO) test -count=1 -timeout 60m -run TestBoardsAndAlertsWatchAFleet .

.PHONY: test
test: ## Run all tests, also those against real servers, and look for their secrets in what processes wrote
	test/secrets/with.sh $(MAKE) --no-print-directory test-unit test-modules

.PHONY: test-unit
test-unit: ## Run the tests that need only Go
	$(GO) test ./...

.PHONY: test-modules
test-modules: ## Run the tests in test/, bench/ and tools/house: lakeFS's packages, S3 servers, whole fleets
	test/ceph/with.sh $(MAKE) --no-print-directory -j2 --output-sync=target $(addprefix test-in/,$(TEST_MODULES))

# Go's cache does not notice changes of servers, so results must not be cached. Two modules run at a
# time, as tests of fleets wait for half of theirs.
$(addprefix test-in/,$(TEST_MODULES)): test-in/%:
	cd $* && $(GO) test -count=1 -timeout 20m ./...

.PHONY: fuzz
fuzz: ## Fuzz every parser of what strangers send; FUZZTIME=10m for longer than 10s each
	test/fuzz/run.sh $(FUZZTIME)

.PHONY: bench
bench: ## Measure a worker and lakeFS's packages; BENCH=-quick takes a minute, see BENCHMARKS.md
	cd bench && $(GO) run ./cmd/bench $(BENCH)

.PHONY: bench-once
bench-once: ## Run each Go benchmark once, and others on little input, to check that they work
	$(GO) test -run '^$$' -bench . -benchtime 1x ./...
	cd bench && $(GO) test -run '^$$' -bench . -benchtime 1x ./landing
	cd bench && $(GO) run ./cmd/status -rounds 1 -round 300ms -out ""
	cd bench && $(GO) run ./cmd/lakefs -sizes 20k -out ""
	cd bench && $(GO) run ./cmd/tracing -bucket hive-20k -rounds 1 -out ""
	cd bench && $(GO) run ./cmd/scrapes -rounds 1 -period 2s
	cd bench && $(GO) run ./cmd/sign -rounds 1

.PHONY: bench-landing
bench-landing: ## Measure how imports of 100,000 ranges land, see BENCHMARKS.md
	cd bench && $(GO) run ./cmd/landing $(LANDING)

.PHONY: bench-status
bench-status: ## Measure how many statuses a coordinator answers to 1,000 clients, see BENCHMARKS.md
	cd bench && $(GO) run ./cmd/status $(STATUS)

.PHONY: bench-logins
bench-logins: ## Measure how a flood of wrong logins slows down other users, see BENCHMARKS.md
	cd bench && $(GO) run ./cmd/logins $(LOGINS)

.PHONY: bench-lakefs
bench-lakefs: ## Measure imports by a lakeFS server and by a fleet beside one, see BENCHMARKS.md
	cd bench && $(GO) run ./cmd/lakefs $(LAKEFS)

.PHONY: bench-tracing
bench-tracing: ## Measure what traces cost, see docs/tracing.md; TRACING='-base DIR' compares with other programs
	cd bench && $(GO) run ./cmd/tracing $(TRACING)

.PHONY: bench-scrapes
bench-scrapes: ## Measure what 20 Prometheus servers cost a coordinator; SCRAPES='-base DIR' compares with another one
	cd bench && $(GO) run ./cmd/scrapes $(SCRAPES)

.PHONY: bench-sign
bench-sign: ## Measure how soon rangectl shows that an import moves, see BENCHMARKS.md
	cd bench && $(GO) run ./cmd/sign $(SIGN)

.PHONY: chaos
chaos: ## Run fleets under injected faults; CHAOS='-seeds 100', see docs/chaos.md
	cd test/chaos && $(GO) run . $(CHAOS)

.PHONY: chaos-short
chaos-short: ## Run fleets under every kind of fault, and the controls, in minutes
	test/secrets/with.sh $(GO) run -C test/chaos . -short

.PHONY: bench-fleet
bench-fleet: ## Measure fleets of processes; FLEET="-only huge" imports 10^8 objects, see BENCHMARKS.md
	cd bench && $(GO) run ./cmd/fleet $(FLEET)

.PHONY: test-race
test-race: ## Run the tests that need only Go under the race detector
	$(GO) test -race ./...

# The linter is built once for each version that tools/golangci/go.mod names.
LINTER := $(BIN)/golangci-lint

$(LINTER): tools/golangci/go.mod tools/golangci/go.sum
	cd tools/golangci && $(GO) build -o ../../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: lint
lint: $(LINTER) house ## Run the linters: .golangci.yml and tools/house
	$(LINTER) run ./...
	@for module in $(LINT_MODULES); do \
		echo "== $$module"; \
		(cd $$module && $(CURDIR)/$(LINTER) run --config $(CURDIR)/.golangci.yml ./...) || exit 1; \
	done

.PHONY: house
house: ## Check numbers of methods and uses of exported names: tools/house
	cd tools/house && $(GO) run . -root ../.. -exceptions exceptions.txt

.PHONY: format
format: $(LINTER) ## Format all code
	$(LINTER) fmt

.PHONY: test-readme
test-readme: ## Run the commands in README.md, including make test
	test/readme/run.sh README.md

.PHONY: generate
generate: ## Generate the API types and the generated documents
	$(GO) generate ./...
	$(GO) test ./pkg/settings ./pkg/limits ./pkg/natsconn ./pkg/ctl ./pkg/node ./pkg/table ./pkg/access -run TestDocsAreCurrent -update
	cd bench && $(GO) test ./scale -run TestDocsAreCurrent -update

.PHONY: clean
clean: ## Remove the built programs
	rm -rf $(BIN)
