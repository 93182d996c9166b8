# The verbs of the project. `make help` lists them.

GO ?= go
BIN := $(CURDIR)/bin

.DEFAULT_GOAL := help
.PHONY: help build test lint bench demo

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## compile everything, for this system and for the others
	$(GO) build ./...
	GOOS=windows $(GO) build ./...
	GOOS=freebsd $(GO) build ./...
	GOOS=darwin $(GO) build ./...

test: ## install what the tests need, then run all checks and tests (as root: with the kernel)
	./scripts/test

lint: ## check style and the import rules
	./scripts/lint

bench: ## measure; the output is for benchstat
	$(GO) test -run '^$$' -bench . -benchmem -count 5 ./... | grep -v -e '^?' -e 'no test files'

demo: ## two networks and three containers in a host of their own, with a restart (as root)
	$(GO) run ./test/demo
