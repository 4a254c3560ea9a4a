# Thin: each target is a line or two, the work is in scripts/.
# Arguments are handed on: make demo DEMO_ARGS='--duration 60s', make test TEST_ARGS='-p plamatio-stream'

SHELL := bash
CARGO ?= cargo
DEMO_ARGS ?=
TEST_ARGS ?=
PLAMATIO_FUZZ_SCRIPTS ?= 50000
PLAMATIO_FUZZ_SEED := $(or $(PLAMATIO_FUZZ_SEED),$(shell date +%s))
BENCH_ARGS ?=
PEERS_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test fuzz conformance lint bench bench-latency bench-peers services services-stop services-status services-clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: ## build and start the whole system in one process (DEMO_ARGS='--duration 60s')
	@scripts/install.sh build
	@scripts/install.sh demo
	$(CARGO) build --locked -p plamatio
	"$$(scripts/target-dir.sh)/debug/plamatio" demo $(DEMO_ARGS)

test: ## all tests, with the services they need (TEST_ARGS='-p plamatio-api')
	@scripts/install.sh build
	@scripts/test.sh $(TEST_ARGS)

fuzz: ## random scripts against batch SQL, many more than in make test (PLAMATIO_FUZZ_SCRIPTS=100000 PLAMATIO_FUZZ_SEED=7)
	@echo "seed $(PLAMATIO_FUZZ_SEED), $(PLAMATIO_FUZZ_SCRIPTS) scripts"
	PLAMATIO_FUZZ_SCRIPTS=$(PLAMATIO_FUZZ_SCRIPTS) PLAMATIO_FUZZ_SEED=$(PLAMATIO_FUZZ_SEED) \
		$(CARGO) test --locked -p plamatio-stream --test it language::scripts

lint: ## formatting, clippy and documentation, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --locked --workspace --no-deps --document-private-items

conformance: ## Apache Flink's own tests, fetched with Maven, against this build (CONFORMANCE_ARGS='-v --suite functions JSON_')
	@scripts/install.sh build
	@scripts/conformance.sh $(CONFORMANCE_ARGS)

bench: ## throughput, memory and latency of the engine, beside its practical limit (BENCH_ARGS='--help')
	@scripts/install.sh build
	@scripts/bench.sh $(BENCH_ARGS)

bench-latency: ## from an event through Apache Kafka and the engine to Redis, only (BENCH_ARGS='--help')
	@scripts/install.sh build
	@scripts/bench.sh latency $(BENCH_ARGS)

bench-peers: ## the same SQL beside Apache Flink and DuckDB, in one run (PEERS_ARGS='--check', '--help')
	@scripts/install.sh build
	@scripts/bench-peers.sh $(PEERS_ARGS)

services: ## install and start private PostgreSQL, Redis and Apache Kafka, print their URLs
	@scripts/services.sh start

services-stop: ## stop them, keep their data
	@scripts/services.sh stop

services-status: ## which of them run, and where
	@scripts/services.sh status

services-clean: ## stop them and delete their data
	@scripts/services.sh clean
