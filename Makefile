# The verbs of the project. `make help` lists them.

GO ?= go
# What is built here is thrown away. A version stamp would need a git that trusts the
# folder's owner, which it does not when root builds somebody else's checkout.
export GOFLAGS := $(GOFLAGS) -buildvcs=false

.DEFAULT_GOAL := help
.PHONY: help build test lint bench fuzz demo

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## compile everything, for this system and for the others
	$(GO) build ./...
	GOOS=windows $(GO) build ./...
	GOOS=freebsd $(GO) build ./...
	GOOS=darwin $(GO) build ./...

test: ## install what the tests need, then run all checks and tests (as root: with the kernel)
	@./scripts/test

lint: ## check format, style and the import rules
	@./scripts/lint
	$(GO) test -count=1 ./internal/importrules

bench: ## measure, for benchstat (BENCH=regexp, COUNT=5, BENCHTIME=1s)
	@./scripts/bench

fuzz: ## run each fuzz target for a while (FUZZTIME=20s)
	@./scripts/fuzz

demo: ## two networks and three containers in a host of their own, with a restart (as root)
	@[ "$$(id -u)" -eq 0 ] || { echo "make demo makes network namespaces, which needs root: sudo make demo" >&2; exit 1; }
	$(GO) run ./test/demo
