SHELL       := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: help build test race fuzz check lint bench peers django man clean

GO       ?= go
FUZZTIME ?= 60s
# VERSION and COMMIT are what `multisite version` prints. Outside of a git clone, set
# them: make build VERSION=v1.2.3 COMMIT=0123456789ab.
BINARY   ?= multisite
VERSION  ?= $(shell git describe --tags --dirty 2>/dev/null)
COMMIT   ?= $(shell git describe --always --dirty --abbrev=12 --exclude '*' 2>/dev/null)
# RACE=-race runs the tests with the race detector, LONG=1 also the long soaks.
RACE     ?=
LONG     ?=
TIMEOUT  ?= $(if $(LONG),60m,10m)

# The benchmark and the tests with a browser and an authority are modules of their own, so
# that the program does not depend on what only they need.
modules = . cmd/bench cmd/browsertest cmd/doortest

golangci = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

django := testdata/django
venv   := $(django)/.venv
python := $(venv)/bin/python3
sources = $(wildcard $(django)/*.py $(django)/*/*.py $(django)/*/migrations/*.py)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## the binary, ./multisite
	$(GO) build -ldflags '-X main.stampedVersion=$(VERSION) -X main.stampedCommit=$(COMMIT)' -o $(BINARY) ./cmd/multisite

man: build ## manual pages, in ./man
	$(abspath $(BINARY)) man man

# Results are not cached, because tests depend on Python files that Go does not track.
# In its long form the fault suite measures times, so its tests run one after the other.
test: $(venv)/ready $(django)/test.sqlite3 ## prepare what the tests need, and run all tests
	for site in 1 2; do \
	  $(python) $(django)/manage.py test probe --buffer --verbosity 0 --settings subdomain$${site}_settings; \
	done
	MULTISITE_LONG=$(LONG) $(GO) test -count=1 -timeout $(TIMEOUT) $(RACE) $(if $(LONG),-skip ^TestFault_) ./...
	for module in $(filter-out .,$(modules)); do \
	  MULTISITE_LONG=$(LONG) $(GO) -C $$module test -count=1 -timeout $(TIMEOUT) $(RACE) ./...; \
	done
	$(if $(LONG),MULTISITE_LONG=1 $(GO) test -count=1 -timeout $(TIMEOUT) $(RACE) -parallel 1 -run ^TestFault_ ./cmd/multisite)

race: ## all tests under the race detector
	$(MAKE) test RACE=-race

fuzz: ## every fuzz target for FUZZTIME=60s each
	$(GO) test -list '^Fuzz' ./... | \
	  awk '/^Fuzz/ { name[++n] = $$1 } /^ok/ { for (i = 1; i <= n; i++) print $$2, name[i]; n = 0 }' | \
	  while read -r package target; do \
	    echo "$$package $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" </dev/null; \
	  done

check: ## formatting and go vet
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "not formatted, run gofmt -w:" $$files >&2; exit 1; fi
	for module in $(modules); do $(GO) -C $$module vet ./...; done

lint: ## golangci-lint, with staticcheck among its linters, as .golangci.yml says
	for module in $(modules); do $(GO) -C $$module run $(golangci) run ./...; done

# make bench BENCH='throughput --quick'
bench: ## measure multisite beside its peers: BENCH=memory
	$(GO) -C cmd/bench run . $(BENCH)

# A peer that cannot be installed is reported by the benchmark, too.
peers: $(venv)/ready ## uWSGI, gunicorn and granian for the benchmark, in cmd/bench/.venv
	testdata/python.sh cmd/bench/.venv $(django)/requirements.txt
	grep -v '^#' cmd/bench/peers.txt | while read -r peer; do \
	  cmd/bench/.venv/bin/python3 -m pip install --quiet --disable-pip-version-check "$$peer" || echo "make peers: no $$peer" >&2; \
	done

django: $(venv)/ready $(django)/db.sqlite3 ## the article's project: its virtual environment and database
	@echo "ready: go run ./cmd/multisite up -c $(django)/sites.toml   (admin: user admin, password admin)"

clean: ## remove what the other targets created
	rm -rf multisite man $(venv) cmd/bench/.venv $(django)/*.sqlite3 $(django)/static_root

$(venv): $(venv)/ready

$(venv)/ready: $(django)/requirements.txt testdata/python.sh
	testdata/python.sh $(venv) $<
	@touch $@

# test.sqlite3 is the template of the tests. db.sqlite3 belongs to the user and is never
# created again.
$(django)/test.sqlite3: $(sources) testdata/database.sh $(venv)/ready
	testdata/database.sh $(python) $@

$(django)/db.sqlite3: | $(django)/test.sqlite3
	cp $(django)/test.sqlite3 $@
