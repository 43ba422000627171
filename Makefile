# A bare "make" lists the targets.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# How long "make fuzz" runs each fuzz target, more flags for "make test" such as
# -v, and the packages that "make bench" runs.
FUZZTIME ?= 30s
TESTFLAGS ?=
BENCH ?= ./internal/bench ./directory/store ./gateway/inbound

# A folder with descriptions for "make corpus" (docs/corpus.md), and more flags.
DIR ?= ../shared/wsdl
CORPUSFLAGS ?=

# How long "make soak" goes on, and where the table and the log stay.
DURATION ?= 30m
OUT ?= soak.out

.PHONY: help demo test short lint generate bench bigbench corpus fuzz soak dist setup

help: ## list these targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | \
	while IFS=$$'\t' read -r target text; do printf '  make %-10s %s\n' "$$target" "$$text"; done

demo: ## see every kind of login at work, with nothing installed
	go run ./cmd/soapward demo

test: setup ## run all tests, with a real Active Directory and foreign clients
	scripts/test $(TESTFLAGS)

short: ## run the tests that need nothing installed (go test -short -v says what the others lack)
	go test -short ./...

lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not gofmt-clean:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go tool staticcheck ./...

generate: ## write the generated code again
	go generate ./...

bench: ## compare speed with the libraries used today, as ratios
	go test -run='^$$' -bench=. -benchtime=1x -count=1 $(BENCH)

bigbench: ## measure the console with a million users and ten million logins (KEEP=DIR keeps them for the next time)
	SOAPWARD_BENCH_CONSOLE=$(if $(KEEP),$(abspath $(KEEP)),1) go test -run='^$$' -bench=BenchmarkConsole -benchtime=1x -count=1 -timeout=0 ./internal/bench

corpus: ## judge the generator by the descriptions in DIR (docs/corpus.md)
	go run ./internal/corpus $(CORPUSFLAGS) $(DIR)

fuzz: ## run each fuzz target for FUZZTIME (30s)
	scripts/fuzz $(FUZZTIME)

soak: setup ## run a gateway for DURATION (30m) while all that it needs ends and comes back; the report is in OUT
	go test ./internal/soak -run '^TestSoak$$' -v -count=1 -timeout=0 -duration=$(DURATION) -out=$(abspath $(OUT))

dist: ## make archives, Debian packages and checksums in dist/ (VERSION=v1.2.3, or as git says)
	go run ./packaging/dist $(if $(VERSION),-version $(VERSION))

setup: ## install the Debian packages that the tests use
	scripts/setup
